/** What has happened on the demo forge, readable, without any secret. */
export interface DemoForgeEvent {
  readonly kind:
    | 'login_page_shown'
    | 'signed_in'
    | 'sign_in_failed'
    | 'grant_page_shown'
    | 'granted'
    | 'granted_silently'
    | 'denied'
    | 'tokens_issued'
    | 'tokens_renewed'
    | 'token_call_refused'
    | 'api_called'
    | 'api_refused';
  /** A sentence for a person who watches. */
  readonly text: string;
}

export type OnDemoForgeEvent = (event: DemoForgeEvent) => void;
