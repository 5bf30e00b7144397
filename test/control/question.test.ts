import { describe, expect, it } from 'bun:test';
import { CONTROL_VERSION, type ControlQuestion } from '../../app/control/protocol.ts';
import { questionLine, readQuestion } from '../../app/control/question.ts';

const line = (question: object) => JSON.stringify({ version: CONTROL_VERSION, ...question });

describe('a question about a reload or a hand-over', () => {
  const step = { action: 'hand_over', pid: 1, programVersion: '0.2.0' } as const;
  const questions: readonly ControlQuestion[] = [
    { action: 'reload', handOver: false },
    { action: 'reload', handOver: true },
    { ...step, step: 'release', storePath: '/store' },
    { ...step, step: 'done' },
  ];

  it.each(questions)('is read as it was written: %j', (question) => {
    expect(readQuestion(questionLine(question))).toEqual({ ok: true, value: question });
  });

  it('is no hand-over unless it says so', () => {
    for (const handOver of [undefined, 'yes', 1]) {
      const read = readQuestion(line({ action: 'reload', handOver }));
      expect(read).toMatchObject({ ok: true, value: { handOver: false } });
    }
  });

  it.each([
    { ...step },
    { ...step, step: 'begin' },
    { ...step, step: 'release' },
    { ...step, step: 'release', storePath: '' },
    { ...step, step: 'done', pid: '1' },
    { ...step, step: 'done', programVersion: 2 },
  ])('is refused when a part of it is missing or wrong: %j', (question) => {
    expect(readQuestion(line(question))).toMatchObject({
      ok: false,
      error: { kind: 'malformed' },
    });
  });
});
