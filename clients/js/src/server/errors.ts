/** Says what is wrong with one field of a call. */
export interface FieldError {
  /** Such as policy.reuse_interval. */
  field: string;
  detail: string;
}

/** A refusal of the service, or of the gateway before it. Of a problem document of RFC 9457 it has all members. */
export class ProblemError extends Error {
  override name = 'ProblemError';
  /** The call, without its query. */
  readonly method: string;
  readonly path: string;
  readonly status: number;
  /** Such as Bad Request. */
  readonly title: string;
  /** What is wrong. */
  readonly detail: string;
  /** The fields that are wrong. */
  readonly errors: FieldError[];
  /** For how many milliseconds the service asks to wait; 0 if it does not say. */
  readonly retryAfter: number;
  /** What was asked for may have been done, by this attempt or one before. */
  mayBeDone = false;

  constructor(method: string, path: string, status: number, title: string, detail: string, errors: FieldError[], retryAfter: number) {
    super(status === 403 ? `access denied: the caller may not execute-api:Invoke on …/${method}${path} (status 403: ${detail})` : `${detail} (status ${status})`);
    this.method = method;
    this.path = path;
    this.status = status;
    this.title = title;
    this.detail = detail;
    this.errors = errors;
    this.retryAfter = retryAfter;
  }
}

/** Is thrown if the service did not answer. */
export class UnreachableError extends Error {
  override name = 'UnreachableError';
  /** What was asked for may have been done. */
  mayBeDone = false;

  constructor(address: string, cause: unknown) {
    super(`no answer from ${address}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
