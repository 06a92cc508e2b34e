// The form that submits a job, the look-up of a key, and the job that is watched until its result is there.
import { $, h, text, attr, keyed, empty, toast, confirm } from './dom.js';
import * as api from './api.js';
import { jsonError } from './json.js';
import { showJob } from './job.js';

const MOST = 20; // jobs watched in a tab

export class Jobs {
  constructor(app) {
    this.app = app;
    this.jobs = new Map(); // "queue/key" to { queue, key, function, status, steps, result }
    this.current = null;
    $('submit').addEventListener('submit', (e) => { e.preventDefault(); this.submit(); });
    $('lookup').addEventListener('submit', (e) => { e.preventDefault(); this.lookup(); });
    $('f-queue').addEventListener('change', () => this.functionsChanged());
    $('f-function').addEventListener('change', () => this.doc());
    for (const name of ['args', 'kwargs']) $(`f-${name}`).addEventListener('input', () => this.check(name));
    setInterval(() => this.poll(), 4000);
    this.show();
  }

  queuesChanged(names) {
    for (const id of ['f-queue', 'l-queue']) {
      const select = $(id);
      const before = select.value || this.app.queue || this.app.home;
      select.replaceChildren(...names.map((name) => h('option', { value: name }, name)));
      select.value = names.includes(before) ? before : names.includes('default') ? 'default' : names[0] ?? '';
    }
    this.functionsChanged();
  }

  functionsChanged() {
    const functions = this.app.functions[$('f-queue').value] || [];
    const select = $('f-function');
    const before = select.value;
    const same = functions.length === select.options.length && functions.every((f, i) => f.name === select.options[i].value);
    if (!same || !functions.length) {
      select.replaceChildren(...functions.map((f) => h('option', { value: f.name }, f.name)));
      if (functions.some((f) => f.name === before)) select.value = before;
    }
    select.disabled = !functions.length;
    $('f-send').disabled = !functions.length;
    this.doc();
  }

  doc() {
    const queue = $('f-queue').value;
    const f = (this.app.functions[queue] || []).find((each) => each.name === $('f-function').value);
    if (f) {
      $('f-doc').replaceChildren(h('code', {}, f.name.split('.').pop(), f.signature), f.doc ? h('p', {}, f.doc) : h('p', { class: 'light' }, 'It has no docstring.'));
    } else if (this.app.state) {
      $('f-doc').replaceChildren(h('p', {}, queue ? `No worker serves the queue “${queue}”, so it is not known which functions there are. Start one:` : 'There is no queue yet. Start a worker:'),
        h('code', {}, `subpy-worker-nats --queue ${queue || 'default'} FOLDER`));
    }
  }

  check(name) {
    const kind = name === 'args' ? 'array' : 'object';
    const value = $(`f-${name}`).value.trim();
    const error = value === '' ? '' : jsonError(value, kind);
    this.error(name, error);
    return error === '';
  }

  error(name, message) {
    const input = $(`f-${name}`);
    text($(`e-${name}`), message);
    if (input) attr(input, 'aria-invalid', message ? 'true' : 'false');
  }

  async submit() {
    for (const name of ['queue', 'function', 'key', 'timeout', 'tries']) this.error(name, '');
    text($('e-form'), '');
    const good = ['args', 'kwargs'].map((name) => this.check(name));
    for (const name of ['timeout', 'tries']) {
      const value = $(`f-${name}`).value.trim();
      const fine = value === '' || (Number(value) > 0 && (name === 'timeout' || Number.isInteger(Number(value))));
      if (!fine) this.error(name, name === 'timeout' ? 'A number of seconds, more than 0, such as 2.5.' : 'A whole number, 1 or more.');
      good.push(fine);
    }
    if (good.includes(false)) {
      document.querySelector('#submit [aria-invalid=true]').focus();
      return;
    }
    // The text of the arguments goes as it was typed: numbers keep all of their digits.
    const fields = [`"function":${JSON.stringify($('f-function').value)}`];
    for (const name of ['args', 'kwargs']) if ($(`f-${name}`).value.trim()) fields.push(`"${name}":${$(`f-${name}`).value}`);
    if ($('f-key').value.trim()) fields.push(`"key":${JSON.stringify($('f-key').value.trim())}`);
    for (const name of ['timeout', 'tries']) if ($(`f-${name}`).value.trim()) fields.push(`"${name}":${Number($(`f-${name}`).value)}`);
    const queue = $('f-queue').value;
    $('f-send').disabled = true;
    try {
      const { key } = await api.submit(queue, `{${fields.join(',')}}`, this.app.live.client);
      const name = $('f-function').value;
      this.add({ queue, key, function: name, status: 'waiting', steps: [{ event: 'submitted', time: new Date(this.app.now).toISOString() }] });
      this.select(`${queue}/${key}`);
      this.fetch(this.current);
      this.reveal();
    } catch (error) {
      const field = error.field && $(`e-${error.field}`) ? error.field : '';
      if (field) { this.error(field, error.whole); $(`f-${field}`).focus(); } else text($('e-form'), error.whole);
    } finally {
      $('f-send').disabled = false;
    }
  }

  // reveal brings the job into sight where it is below the form.
  reveal() {
    const box = $('job').getBoundingClientRect();
    if (box.top > innerHeight - 160 || box.top < 0) $('h-job').scrollIntoView({ block: 'center', behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth' });
  }

  lookup() {
    const key = $('l-key').value.trim();
    const queue = $('l-queue').value;
    const message = !queue ? 'There is no queue yet.' : /^[A-Za-z0-9_=-]{1,128}$/.test(key) ? '' : 'A key is 1 to 128 of A-Z a-z 0-9 _ = -';
    text($('e-lkey'), message);
    attr($('l-key'), 'aria-invalid', message ? 'true' : 'false');
    if (message) { $('l-key').focus(); return; }
    const hash = `#jobs/${encodeURIComponent(queue)}/${encodeURIComponent(key)}`;
    if (location.hash === hash) this.open(queue, key);
    else location.hash = hash;
  }

  open(queue, key) {
    const id = `${queue}/${key}`;
    if (!this.jobs.has(id)) this.add({ queue, key, function: '', status: 'unknown', steps: [] });
    $('l-key').value = key;
    if ([...$('l-queue').options].some((o) => o.value === queue)) $('l-queue').value = queue;
    this.select(id);
    this.fetch(this.jobs.get(id));
    this.reveal();
  }

  add(job) {
    this.jobs.delete(`${job.queue}/${job.key}`);
    this.jobs.set(`${job.queue}/${job.key}`, job);
    while (this.jobs.size > MOST) this.jobs.delete(this.jobs.keys().next().value);
  }

  select(id) {
    this.current = this.jobs.get(id);
    this.show();
  }

  // fetch asks for the result, and has the worker send what happens to the key from now on.
  async fetch(job) {
    if (!this.app.live.client && this.app.live.status === 'live') return;
    try {
      const answer = await api.result(job.queue, job.key, this.app.live.client);
      job.result = answer.result;
      job.text = answer.text;
      job.cut = answer.text_cut;
      job.function = job.result.function || job.function;
      job.status = job.result.status === 'ok' ? 'done' : 'failed';
      job.problem = '';
      this.complete(job);
    } catch (error) {
      if (error.status === 404) {
        job.result = null;
        if (job.status === 'done' || job.status === 'failed') job.status = 'unknown';
      }
      job.problem = error.status === 404 ? '' : error.whole;
    }
    this.show();
  }

  // complete adds the steps that nobody saw, such as those of a job that was looked up later.
  complete(job) {
    const r = job.result;
    const had = (event) => job.steps.some((step) => step.event === event);
    if (!had('submitted')) job.steps.unshift({ event: 'submitted', time: r.submitted });
    if (!had('started') && r.started) job.steps.push({ event: 'started', time: r.started, worker: r.worker, deliveries: r.deliveries });
    if (!had('finished')) {
      const waited = r.started ? (new Date(r.started) - new Date(r.submitted)) / 1000 : 0;
      job.steps.push({ event: 'finished', time: r.finished, status: r.status, kind: r.error?.kind, message: r.error?.message.split('\n')[0], seconds: r.seconds, waited: Math.max(0, waited) });
    }
  }

  // poll is for events that were lost on their way.
  poll() {
    for (const job of this.jobs.values()) if (!job.result && this.app.live.status === 'live') this.fetch(job);
  }

  reconnected() {
    for (const job of this.jobs.values()) if (!job.result) this.fetch(job);
  }

  event(e) {
    const job = this.jobs.get(`${e.queue}/${e.key}`);
    if (!job) return;
    job.function = e.function || job.function;
    if (job.steps.some((step) => step.event === e.event && step.time === e.time)) return;
    if (job.result && e.event !== 'duplicate') return; // it came late: the result has told already
    job.steps.push(e);
    if (job.steps.length > 50) job.steps.splice(1, 1);
    if (e.event === 'started') job.status = 'running';
    if (e.event === 'retrying') job.status = 'retrying';
    if (e.event === 'finished' || e.event === 'duplicate') this.fetch(job);
    this.show();
  }

  async cancel(job) {
    if (!await confirm('Cancel this job?', `“${job.key}” in the queue “${job.queue}”: it does not begin if it waits, and ends if it runs.`, 'Cancel the job')) return;
    try {
      await api.cancel(job.queue, job.key);
      job.cancelling = true;
      toast('Asked the workers to cancel it.');
    } catch (error) {
      toast(error.whole, true);
    }
    this.show();
  }

  // again fills the form with a request, such as a dead letter that is to be mended first.
  again(queue, request) {
    $('f-queue').value = queue;
    this.functionsChanged();
    if (request.function) $('f-function').value = request.function;
    $('f-args').value = request.args || '[]';
    $('f-kwargs').value = request.kwargs || '{}';
    $('f-key').value = '';
    $('f-tries').value = request.tries > 1 ? request.tries : '';
    $('f-timeout').value = request.timeout || '';
    this.doc();
    location.hash = '#jobs';
    $('f-args').focus();
  }

  render() {
    if (!this.docShown) { this.docShown = true; this.functionsChanged(); }
    this.show();
  }

  show() {
    const box = $('job');
    if (!this.current) {
      if (!box.firstChild) box.append(empty('No job is watched', h('p', {}, 'Submit one, or look up its key: it is followed here until its result is there.')));
    } else {
      showJob(box, this.current, this.app.now, { cancel: (job) => this.cancel(job) });
    }
    const list = [...this.jobs.values()].reverse();
    $('mine-box').hidden = list.length < 2;
    keyed($('mine'), list, (job) => `${job.queue}/${job.key}`,
      (job) => h('button', { type: 'button', class: 'mine', onclick: () => this.select(`${job.queue}/${job.key}`) }, h('span', { class: 'badge' }), h('span', { class: 'mono' }), h('span', { class: 'mono light' })),
      (el, job) => {
        attr(el.children[0], 'class', `badge ${STATUS[job.status]}`);
        text(el.children[0], job.status);
        text(el.children[1], job.key);
        text(el.children[2], job.function);
        attr(el, 'aria-pressed', String(job === this.current));
      });
  }
}

export const STATUS = { waiting: '', unknown: '', running: 'run', retrying: 'warn', done: 'ok', failed: 'bad' };
