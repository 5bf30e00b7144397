/** The groups of tools that a person can choose from. A tool belongs to one of them. */
export const TOOLSETS = [
  'issues',
  'pull_requests',
  'contents',
  'releases',
  'wiki',
  'actions',
  'settings',
  'organizations',
  'notifications',
  'time_tracking',
  'users',
] as const;
export type Toolset = (typeof TOOLSETS)[number];

/** What a toolset is about, in the words that people read. */
export const TOOLSET_MEANING: Readonly<Record<Toolset, string>> = {
  issues: 'Issues: comments, labels, milestones, dependencies, attachments',
  pull_requests: 'Pull requests: reviews, changes, merging',
  contents: 'Repository content: repositories, files, branches, commits',
  releases: 'Releases and their files',
  wiki: 'Wiki pages',
  actions: 'Actions: workflow runs, jobs and their logs',
  settings: 'Repository settings: webhooks and branch protection',
  organizations: 'Organisations and teams',
  notifications: 'Notifications',
  time_tracking: 'Time tracking: stopwatches and tracked times',
  users: 'Users: your own account and the search for others',
};

/** Whether `value` is the name of a toolset, in exactly this spelling. */
export function isToolset(value: unknown): value is Toolset {
  return TOOLSETS.some((toolset) => toolset === value);
}
