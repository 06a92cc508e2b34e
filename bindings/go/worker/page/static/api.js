// The JSON API. An answer that is not 2xx becomes an ApiError with the message, what to do, and the field it is about.

export class ApiError extends Error {
  constructor(status, error) {
    super(error.message);
    this.status = status;
    this.fix = error.fix || '';
    this.field = error.field || '';
  }
  get whole() { return this.fix ? `${this.message} ${this.fix}` : this.message; }
}

let onUnauthorized = () => {};
export function whenUnauthorized(f) { onUnauthorized = f; }

async function call(method, path, body) {
  let response;
  const init = { method, headers: {}, credentials: 'same-origin', cache: 'no-store' };
  if (body !== undefined) {
    init.headers['Content-Type'] = 'application/json';
    init.body = typeof body === 'string' ? body : JSON.stringify(body);
  }
  try {
    response = await fetch(path, init);
  } catch {
    throw new ApiError(0, { message: 'The worker that serves this page does not answer.', fix: 'See whether it still runs; the page reconnects by itself.' });
  }
  let answer;
  try {
    answer = await response.json();
  } catch {
    answer = {};
  }
  if (response.ok) return answer;
  if (response.status === 401 && path !== 'api/login') onUnauthorized();
  throw new ApiError(response.status, answer.error || { message: `The worker answered ${response.status}.` });
}

const part = encodeURIComponent;
const queue = (q) => `api/queues/${part(q)}`;

export const state = (q) => call('GET', `api/state?queue=${part(q)}`);
export const login = (token) => call('POST', 'api/login', { token });
export const worker = (q, name) => call('GET', `${queue(q)}/workers/${part(name)}`);
export const failures = (q) => call('GET', `api/failures?queue=${part(q)}`);
export const dead = (q) => call('GET', `api/dead?queue=${part(q)}`);
export const letter = (q, key) => call('GET', `${queue(q)}/dead/${part(key)}`);
export const result = (q, key, client) => call('GET', `${queue(q)}/results/${part(key)}?client=${part(client || '')}`);
export const submit = (q, body, client) => call('POST', `${queue(q)}/jobs?client=${part(client || '')}`, body);
export const cancel = (q, key) => call('POST', `${queue(q)}/cancel/${part(key)}`, {});
export const retry = (q, key) => call('POST', `${queue(q)}/dead/${part(key)}/retry`, {});
export const drop = (q, key) => call('POST', `${queue(q)}/dead/${part(key)}/drop`, {});
