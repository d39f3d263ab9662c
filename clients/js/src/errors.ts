/** What the provider answered when it refused a token. */
export interface Refusal {
  status: number;
  code: string;
  description?: string;
}

/**
 * Is thrown if there is no session: nobody has logged in, or the user has logged out, or the provider has
 * refused the refresh token. It is final until somebody logs in.
 */
export class LoginRequiredError extends Error {
  override name = 'LoginRequiredError';
  /** The provider's answer, if it has refused the token. */
  readonly refusal: Refusal | undefined;

  constructor(message: string, refusal?: Refusal) {
    super(`login required: ${message}`);
    this.refusal = refusal;
  }
}

/** Is thrown if no access token could be had now. The session lives: try again later. */
export class RefreshError extends Error {
  override name = 'RefreshError';
  /** The status of the answer, or 0 if there was none. */
  readonly status: number;
  /** The code of the answer, such as temporarily_unavailable, or ''. */
  readonly code: string;

  constructor(message: string, status = 0, code = '') {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/**
 * Is thrown if new tokens could not be saved. They have not been handed out, and are kept in memory: the next
 * call tries to save them again, without another request to the provider.
 */
export class NotSavedError extends Error {
  override name = 'NotSavedError';

  constructor(reason: string) {
    super(`the new token could not be saved: ${reason}`);
  }
}

/** Is thrown by {@link Store.save} if somebody else has saved first. */
export class ConflictError extends Error {
  override name = 'ConflictError';

  constructor() {
    super('somebody else has saved the session');
  }
}
