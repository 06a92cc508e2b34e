// The newest failures; a traceback is fetched when its failure is unfolded.
import { $, h, text, attr, keyed, empty } from './dom.js';
import * as api from './api.js';
import { ago, full, duration, KINDS } from './format.js';
import { block, printed, facts } from './job.js';

export class Failures {
  constructor(app) {
    this.app = app;
    this.seen = null;
    this.forget();
  }

  forget() {
    this.version = null;
    this.list = null;
    this.seen = null;
  }

  // unseen counts what failed since the view was last looked at.
  unseen(total, looking) {
    if (!total) return 0;
    if (looking || this.seen === null) this.seen = total.failures;
    return Math.max(0, total.failures - this.seen);
  }

  async load(version) {
    if (this.loading) return;
    this.loading = true;
    try {
      const queue = this.app.queue;
      const answer = await api.failures(queue);
      if (queue === this.app.queue) {
        this.version = version;
        this.list = answer.failures;
        this.show();
      }
    } catch (error) {
      text($('note-failures'), error.status === 401 ? '' : error.whole);
    } finally {
      setTimeout(() => { this.loading = false; }, 1000);
    }
  }

  render() {
    const total = this.app.shown();
    if (total && total.failures !== this.version) this.load(total.failures);
    if (this.list) this.show();
  }

  show() {
    const list = this.list;
    text($('note-failures'), list.length >= 100 ? `the newest ${list.length}` : list.length || '');
    const box = $('failures');
    const none = box.querySelector(':scope > .empty');
    if (!list.length && !none) box.append(empty('Nothing failed', h('p', {}, 'When a job raises an exception, runs out of time or crashes, it is here with its traceback.')));
    if (list.length && none) none.remove();
    keyed(box, list, (f) => `${f.queue}/${f.key}/${f.time}`, (f) => this.create(f), (el, f) => text(el._ago, ago(f.time, this.app.now)));
  }

  create(f) {
    const when = h('time', { class: 'light', datetime: f.time, title: full(f.time) });
    const body = h('div', { class: 'itembody' });
    const el = h('details', { class: 'item' },
      h('summary', {}, h('span', { class: 'badge bad' }, KINDS[f.kind] || f.kind), h('span', { class: 'what' }, h('code', {}, f.function || f.key), h('span', { class: 'msg' }, f.message)), when), body);
    el._ago = when;
    el.addEventListener('toggle', () => { if (el.open && !body.firstChild) this.unfold(f, body); });
    return el;
  }

  async unfold(f, body) {
    body.append(h('p', { class: 'light' }, 'Loading …'));
    const link = h('a', { href: `#jobs/${encodeURIComponent(f.queue)}/${encodeURIComponent(f.key)}` }, f.key);
    try {
      const { result } = await api.result(f.queue, f.key);
      if (!result.error) throw new api.ApiError(404, { message: 'The key was tried again since, and has a good result now.' });
      const e = result.error;
      body.replaceChildren(h('p', {}, 'Key ', link, ` in ${f.queue}`), e.traceback ? block('Traceback', e.traceback, 'traceback') : h('p', { class: 'message' }, e.type ? `${e.type}: ${e.message}` : e.message), ...printed(result), facts(result));
    } catch (error) {
      body.replaceChildren(h('p', {}, 'Key ', link, ` in ${f.queue}, ran ${duration(f.seconds)} on ${f.worker || 'no worker'}`), h('p', { class: 'message' }, f.message),
        h('p', { class: 'light' }, error.status === 404 ? `${error.message}` : error.whole));
    }
  }
}
