// Dead letters: to read, to retry, to drop.
import { $, h, text, keyed, empty, toast, confirm } from './dom.js';
import * as api from './api.js';
import { ago, full, count, KINDS } from './format.js';
import { block } from './job.js';

export class Dead {
  constructor(app) {
    this.app = app;
    this.forget();
    $('retry-all').addEventListener('click', () => this.all('retry'));
    $('drop-all').addEventListener('click', () => this.all('drop'));
  }

  forget() {
    this.version = null;
    this.list = null;
    this.total = 0;
  }

  async load(version) {
    if (this.loading) return;
    this.loading = true;
    try {
      const queue = this.app.queue;
      const answer = await api.dead(queue);
      if (queue === this.app.queue) {
        this.version = version;
        this.list = answer.dead;
        this.total = answer.total;
        this.show();
      }
    } catch (error) {
      text($('note-dead'), error.status === 401 ? '' : error.whole);
    } finally {
      setTimeout(() => { this.loading = false; }, 1000);
    }
  }

  render() {
    const total = this.app.shown();
    if (total && total.dead_version !== this.version) this.load(total.dead_version);
    if (this.list) this.show();
  }

  show() {
    const list = this.list;
    text($('note-dead'), this.total > list.length ? `the newest ${list.length} of ${count(this.total)}` : list.length ? count(list.length) : '');
    $('retry-all').disabled = $('drop-all').disabled = !list.length || this.working;
    const box = $('dead');
    const none = box.querySelector(':scope > .empty');
    if (!list.length && !none) box.append(empty('No dead letters', h('p', {}, 'A request comes here when it is no request, when no worker knows its function, when its tries are used up, or when it was delivered too often.')));
    if (list.length && none) none.remove();
    keyed(box, list, (d) => `${d.queue}/${d.key}/${d.sequence}`, (d) => this.create(d), (el, d) => text(el._ago, ago(d.time, this.app.now)));
  }

  create(d) {
    const when = h('time', { class: 'light', datetime: d.time, title: full(d.time) });
    const body = h('div', { class: 'itembody' });
    const fold = h('details', { class: 'fold' },
      h('summary', {}, h('span', { class: 'badge bad' }, KINDS[d.kind] || d.kind), h('span', { class: 'what' }, h('code', {}, d.function || d.key), h('span', { class: 'msg' }, d.message)), when), body);
    fold.addEventListener('toggle', () => { if (fold.open && !body.firstChild) this.unfold(d, body); });
    const retry = h('button', { type: 'button', 'aria-label': `Retry ${d.key}`, onclick: () => this.one(el, d, 'retry') }, 'Retry');
    if (d.kind === 'invalid') {
      retry.disabled = true;
      retry.title = 'It is not a valid request: it would be given up again. Submit a mended one instead.';
    }
    const drop = h('button', { type: 'button', class: 'danger', 'aria-label': `Drop ${d.key}`, onclick: async () => {
      if (await confirm('Drop this request?', `“${d.key}” of ${d.function || 'no function'} is deleted for good. Its recorded result stays.`, 'Drop')) this.one(el, d, 'drop');
    } }, 'Drop');
    const el = h('div', { class: 'item with' }, fold, h('div', { class: 'itemactions' }, retry, drop));
    el._ago = when;
    return el;
  }

  async one(el, d, what) {
    for (const button of el.querySelectorAll('button')) button.disabled = true;
    try {
      await api[what](d.queue, d.key);
      this.gone(d);
      toast(what === 'retry' ? `${d.key} is in the queue again.` : `${d.key} is dropped.`);
    } catch (error) {
      toast(error.whole, true);
      for (const button of el.querySelectorAll('button')) button.disabled = button.title !== '';
    }
  }

  gone(d) {
    this.list = this.list.filter((each) => each !== d && !(each.queue === d.queue && each.key === d.key));
    this.total--;
    this.show();
  }

  async all(what) {
    const list = this.list.filter((d) => what === 'drop' || d.kind !== 'invalid');
    const yes = what === 'retry' ? await confirm('Retry all that are shown?', `${count(list.length)} requests are published again, and their recorded results removed.`, 'Retry all')
      : await confirm('Drop all that are shown?', `${count(list.length)} requests are deleted for good. Their recorded results stay.`, 'Drop all');
    if (!yes) return;
    this.working = true;
    let done = 0;
    let problem = '';
    for (const d of list) {
      try {
        await api[what](d.queue, d.key);
        done++;
        this.gone(d);
      } catch (error) {
        problem = `${d.key}: ${error.whole}`;
        if (error.status === 0 || error.status === 401) break;
      }
    }
    this.working = false;
    this.show();
    const word = what === 'retry' ? 'in the queue again' : 'dropped';
    toast(problem ? `${done} of ${list.length} ${word}. ${problem}` : `${done} ${word}.`, Boolean(problem));
  }

  async unfold(d, body) {
    body.append(h('p', { class: 'light' }, 'Loading …'));
    try {
      const letter = await api.letter(d.queue, d.key);
      const edit = letter.request ? h('button', { type: 'button', onclick: () => this.app.again(d.queue, letter.request) }, 'Edit and submit anew') : null;
      body.replaceChildren(h('p', {}, 'Key ', h('a', { href: `#jobs/${encodeURIComponent(d.queue)}/${encodeURIComponent(d.key)}` }, d.key), ` in ${d.queue}, delivered ${d.deliveries} ${d.deliveries === 1 ? 'time' : 'times'}`),
        block('Request', letter.text, 'value', letter.text_cut ? 'Only its beginning is shown.' : ''), h('div', { class: 'actions' }, edit || ''));
    } catch (error) {
      body.replaceChildren(h('p', { class: 'error' }, error.whole));
    }
  }
}
