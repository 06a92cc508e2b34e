// One job: what happened to it, and its result.
import { h, text, attr, keyed } from './dom.js';
import { duration, clock, full, KINDS, NONE } from './format.js';
import { STATUS } from './jobs.js';

const TITLES = { waiting: 'waiting', unknown: 'no result', running: 'running', retrying: 'will be tried again', done: 'done', failed: 'failed' };

export function showJob(box, job, now, actions) {
  const id = `${job.queue}/${job.key}`;
  if (box.dataset.job !== id) {
    box.dataset.job = id;
    const cancel = h('button', { type: 'button', class: 'push', onclick: () => actions.cancel(box._job) }, 'Cancel');
    box.replaceChildren(h('div', { class: 'jobhead' }, h('span', { class: 'badge', role: 'status' }), h('code', {}), cancel), h('p', { class: 'light jobkey' }), h('ol', { class: 'steps' }), h('div', { class: 'result' }));
  }
  box._job = job;
  const [head, key, steps, result] = box.children;
  attr(head.children[0], 'class', `badge ${STATUS[job.status]}`);
  text(head.children[0], job.status === 'failed' ? KINDS[job.result.error.kind] || job.result.error.kind : TITLES[job.status]);
  text(head.children[1], job.function || job.key);
  head.children[2].hidden = Boolean(job.result) || job.cancelling;
  text(key, `${job.key} in ${job.queue}`);
  keyed(steps, job.steps, (step) => `${step.event} ${step.time} ${step.deliveries}`, (step) => h('li', { class: step.event === 'finished' ? (step.status === 'ok' ? 'ok' : 'bad') : step.event === 'retrying' ? 'warn' : '' },
    h('time', { datetime: step.time, title: full(step.time) }, clock(step.time)), h('span', {}, words(step))));
  const version = job.result ? `r${job.result.finished}${job.result.deliveries}` : job.problem ? `p${job.problem}` : `w${job.status}`;
  if (result.dataset.version === version) return;
  result.dataset.version = version;
  result.replaceChildren(...(job.result ? resultOf(job) : [h('p', { class: job.problem ? 'error' : 'hint' }, job.problem || WAITS[job.status] || '')]));
}

const WAITS = {
  waiting: 'It waits for a worker. This shows by itself what becomes of it.',
  running: 'It runs. The result appears here.',
  retrying: 'It failed, and waits for its next try.',
  unknown: 'There is no result for this key. If the job still waits or runs, it appears here; if there is no such job, check the queue and the key.',
};

function words(step) {
  const on = step.worker ? ` on ${step.worker}` : '';
  const again = step.deliveries > 1 ? `, delivery ${step.deliveries}` : '';
  switch (step.event) {
    case 'submitted': return 'submitted';
    case 'started': return `started${on}${again}`;
    case 'retrying': return `failed (${KINDS[step.kind] || step.kind}), will be tried again: ${step.message}`;
    case 'finished': return step.status === 'ok' ? `done in ${duration(step.seconds)}, after ${duration(step.waited)} of waiting` : `failed (${KINDS[step.kind] || step.kind}): ${step.message}`;
    case 'duplicate': return 'dropped: the key has a result already';
    default: return step.event;
  }
}

function resultOf(job) {
  const r = job.result;
  const parts = [];
  if (r.error) {
    parts.push(h('p', { class: 'message' }, r.error.type ? `${r.error.type}: ${r.error.message}` : r.error.message));
    if (r.error.traceback) parts.push(block('Traceback', r.error.traceback, 'traceback'));
  } else {
    parts.push(block('Value', job.text, 'value', job.cut ? 'Only its beginning is shown.' : ''));
  }
  parts.push(...printed(r), facts(r));
  return parts;
}

export function printed(r) {
  return [['Standard output', r.stdout, 'stdout'], ['Standard error', r.stderr, 'stderr']].filter(([, content]) => content).map(([title, content, cls]) => block(title, content, cls));
}

export function facts(r) {
  const waited = r.started ? (new Date(r.started) - new Date(r.submitted)) / 1000 : null;
  const rows = [['Ran', r.started ? duration(r.seconds) : 'did not begin'], ['Waited', waited === null || isNaN(waited) ? NONE : duration(Math.max(0, waited))], ['Worker', r.worker || NONE],
    ['Deliveries', String(r.deliveries)], ['Submitted', full(r.submitted) || NONE], ['Finished', full(r.finished) || NONE]];
  return h('dl', { class: 'facts' }, ...rows.flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]));
}

export function block(title, content, cls, note) {
  const copy = h('button', { type: 'button', class: 'quiet small push', 'aria-label': `Copy: ${title}`, onclick: async () => {
    try { await navigator.clipboard.writeText(content); copy.textContent = 'Copied'; } catch { copy.textContent = 'Select it by hand'; }
    setTimeout(() => { copy.textContent = 'Copy'; }, 2000);
  } }, 'Copy');
  return h('div', { class: 'block' }, h('div', { class: 'blockhead' }, h('h3', {}, title), note ? h('span', { class: 'light' }, note) : null, copy), h('pre', { class: cls, tabindex: '0', role: 'region', 'aria-label': title }, content));
}
