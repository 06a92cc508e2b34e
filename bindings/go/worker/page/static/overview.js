// The overview: tiles, charts, queues, workers, and what happens now.
import { $, h, text, attr, keyed, empty } from './dom.js';
import * as api from './api.js';
import { count, rate, duration, bytes, clock, ago, full, NONE, KINDS } from './format.js';
import { Chart } from './chart.js';
import { table } from './table.js';

const LONGEST = 600; // seconds of history, as the worker keeps
const RECENT = 12;
const SERIES = ['done', 'failed', 'waiting', 'in_progress', 'ran50', 'ran90', 'ran99', 'waited50', 'waited90', 'waited99'];

const RATE = { format: rate, tick: (n) => String(+n.toPrecision(3)), floor: 3 };
const COUNT = { format: count, tick: (n) => count(Math.round(n * 10) / 10), floor: 3 };
const TIME = { format: duration, tick: (s) => (s === 0 ? '0' : duration(s)), floor: 0.000001 };
const PERCENTILES = [{ label: 'p50', cls: 'c-p50' }, { label: 'p90', cls: 'c-p90' }, { label: 'p99', cls: 'c-p99' }];

export class Overview {
  constructor(app) {
    this.app = app;
    this.span = 300;
    this.clear();
    this.charts = [
      [new Chart($('chart-rate'), 'Jobs finished per second', RATE, [{ label: 'done', cls: 'c-done', area: true }, { label: 'failed', cls: 'c-failed' }]), ['done', 'failed']],
      [new Chart($('chart-backlog'), 'Jobs in the queue', COUNT, [{ label: 'waiting', cls: 'c-wait', area: true }, { label: 'in progress', cls: 'c-run' }]), ['waiting', 'in_progress']],
      [new Chart($('chart-ran'), 'Time a job runs', TIME, PERCENTILES), ['ran50', 'ran90', 'ran99']],
      [new Chart($('chart-waited'), 'Time a job waits before it runs', TIME, PERCENTILES), ['waited50', 'waited90', 'waited99']],
    ];
    this.tiles = tiles(['Waiting', 'In progress', 'Done', 'Failed', 'Ran, p99', 'Workers']);
    this.tiles[2][0].title = this.tiles[3][0].title = 'Of the workers that answer, since each of them was started';
    this.recent = [];
    this.missed = 0;
    $('window').addEventListener('change', (e) => { this.span = Number(e.target.value); this.render(); });
    this.queues = table($('queues'), 'h-queues', ['Queue', 'Waiting|n', 'In progress|n', 'Done|n', 'Failed|n', 'Ran p99|n', 'Results|n', 'Dead letters|n', 'Workers|n']);
    this.workers = table($('workers'), 'h-workers', ['Worker', 'State', 'Queue', 'Running|n', 'Held|n', 'Done|n', 'Failed|n', 'Functions|n', 'Host']);
    this.happening = table($('recent'), 'h-recent', ['Time', 'Event', 'Function', 'Key', 'Ran|n', 'Waited|n']);
  }

  clear() {
    this.series = Object.fromEntries(SERIES.map((name) => [name, []]));
    this.end = 0;
  }

  history(series) {
    for (const name of SERIES) this.series[name] = series[name];
    this.end = series.end;
  }

  // point adds the newest second to the history of what is shown.
  point(state) {
    const q = this.app.queue ? state.queues.find((each) => each.name === this.app.queue) : state.total;
    const time = new Date(state.time).getTime();
    if (!q || time <= this.end) return;
    const lacking = this.end ? Math.min(LONGEST, Math.round((time - this.end) / 1000) - 1) : 0;
    this.end = time;
    const values = [q.done_rate, q.failed_rate, q.waiting, q.in_progress, ...(q.ran || [null, null, null]), ...(q.waited || [null, null, null])];
    SERIES.forEach((name, i) => {
      const list = this.series[name];
      for (let n = 0; n < lacking; n++) list.push(lacking > 5 ? null : values[i]);
      list.push(values[i]);
      if (list.length > LONGEST) list.splice(0, list.length - LONGEST);
    });
  }

  events(batch) {
    this.missed += batch.missed;
    this.recent = [...batch.events.reverse(), ...this.recent].slice(0, 200);
  }

  render() {
    const { state, queue } = this.app;
    const q = this.app.shown();
    if (!q) return;
    const workers = state.workers.filter((w) => !queue || w.queue === queue);
    this.tile(0, count(q.waiting), backlog(q));
    this.tile(1, count(q.in_progress), `${count(q.running)} run, ${count(q.held)} held`);
    this.tile(2, rate(q.done_rate), `${count(q.done)} since the start`);
    this.tile(3, rate(q.failed_rate), `${count(q.failed)} since the start`, q.failed_rate > 0 ? 'bad' : '');
    this.tile(4, q.ran ? duration(q.ran[2]) : NONE, q.ran ? `p50 ${duration(q.ran[0])}` : 'nothing ran lately');
    const lost = workers.filter((w) => w.state === 'lost').length;
    this.tile(5, count(q.workers), lost ? `${lost} lost` : q.workers ? 'all answer' : 'none answers', lost || !q.workers ? 'bad' : '');
    for (const [chart, names] of this.charts) chart.show(names.map((name) => this.series[name]), this.span, this.end);
    this.showQueues(state);
    this.showWorkers(state, workers);
    this.showRecent(state, queue);
  }

  tile(i, value, note, cls) {
    const [box, dd, small] = this.tiles[i];
    text(dd, value);
    text(small, note);
    attr(box, 'class', cls ? `tile ${cls}` : 'tile');
  }

  showQueues(state) {
    const queues = state.queues.filter((q) => !this.app.queue || q.name === this.app.queue);
    text($('note-queues'), state.queues_left_out ? `${state.queues_left_out} more are not shown` : '');
    this.queues.show(queues, (q) => q.name, (q) => [
      { link: q.name, do: () => this.app.choose(this.app.queue ? '' : q.name) }, count(q.waiting), count(q.in_progress), rate(q.done_rate), { text: rate(q.failed_rate), cls: q.failed_rate > 0 ? 'bad' : '' },
      q.ran ? duration(q.ran[2]) : NONE, { text: count(q.results), title: `${bytes(q.results_bytes)} in results` },
      { text: count(q.dead), cls: q.dead ? 'bad' : '', href: q.dead ? '#dead' : '' }, { text: count(q.workers), cls: q.workers ? '' : 'bad' },
    ], () => empty('No queue yet', h('p', {}, 'A worker makes its queue when it starts:'), h('code', {}, 'subpy-worker-nats --queue default FOLDER')));
  }

  showWorkers(state, workers) {
    text($('note-workers'), state.workers_left_out ? `${count(state.workers_left_out)} more are not shown` : '');
    this.workers.show(workers, (w) => `${w.queue} ${w.worker}`, (w) => [
      { link: w.worker, do: () => this.detail(w) },
      { badge: w.state, cls: { serving: 'ok', draining: 'warn', lost: 'bad', left: '' }[w.state] ?? '', title: w.state === 'lost' ? `It said nothing for ${duration(Math.round(w.silent))}` : '' },
      w.queue, { text: `${count(w.running)} of ${count(w.parallel)}`, meter: w.parallel ? w.running / w.parallel : 0 }, count(w.held), rate(w.done_rate),
      { text: rate(w.failed_rate), cls: w.failed_rate > 0 ? 'bad' : '' }, count(w.functions), `${w.host}:${w.pid}`,
    ], () => empty('No worker answers', h('p', {}, 'Jobs wait in the queue until one does. Start one on any machine that reaches NATS:'),
      h('code', {}, `subpy-worker-nats --queue ${this.app.queue || this.app.home || 'default'} --nats nats://HOST:4222 FOLDER`)));
  }

  showRecent(state, queue) {
    const events = this.recent.filter((e) => !queue || e.queue === queue).slice(0, RECENT);
    text($('note-recent'), this.missed ? 'a sample: more happens than can be read' : '');
    this.happening.show(events, (e) => e.id, (e) => [
      { text: clock(e.time), title: full(e.time) },
      { badge: e.event === 'finished' ? (e.status === 'ok' ? 'done' : KINDS[e.kind] || e.kind || 'error') : e.event, cls: e.event === 'finished' ? (e.status === 'ok' ? 'ok' : 'bad') : e.event === 'retrying' ? 'warn' : '', title: e.message },
      { text: e.function, cls: 'mono' }, { text: e.key, cls: 'mono', href: `#jobs/${encodeURIComponent(e.queue)}/${encodeURIComponent(e.key)}` },
      e.event === 'finished' || e.event === 'retrying' ? duration(e.seconds) : NONE, e.event === 'finished' || e.event === 'retrying' ? duration(e.waited) : NONE,
    ], () => empty('Nothing happens at the moment', h('p', {}, 'Jobs appear here as they start and finish. ', h('a', { href: '#jobs' }, 'Submit one'), '.')));
  }

  async detail(w) {
    text($('detail-title'), w.worker);
    const body = $('detail-body');
    body.replaceChildren(h('p', { class: 'light' }, 'Loading …'));
    $('detail').showModal();
    try {
      const one = await api.worker(w.queue, w.worker);
      const rows = [['State', one.state], ['Queue', one.queue], ['Host', `${one.host}, process ${one.pid}`], ['Version', one.version || NONE], ['Started', `${full(one.started)} (${ago(one.started, this.app.now)})`],
        ['Interpreters', `${count(one.running)} of ${count(one.parallel)} run, ${count(one.held)} jobs held`], ['Done', count(one.done)], ['Failed', count(one.failed)], ['Retried', count(one.retried)],
        ['Dead letters', count(one.dead)], ['Duplicates', count(one.duplicates)], ['Ran', one.ran ? `p50 ${duration(one.ran[0])}, p90 ${duration(one.ran[1])}, p99 ${duration(one.ran[2])}` : NONE]];
      body.replaceChildren(
        h('dl', { class: 'facts' }, ...rows.flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, value)])),
        h('h3', {}, `Functions (${one.functions.length})`),
        h('ul', { class: 'functions' }, ...one.functions.map((f) => h('li', {}, h('code', {}, f.name, h('span', { class: 'light' }, f.signature)), f.doc ? h('p', {}, f.doc.split('\n')[0]) : null))));
    } catch (error) {
      body.replaceChildren(h('p', { class: 'error' }, error.whole));
    }
  }
}

// backlog says how long what waits takes at the rate of now.
function backlog(q) {
  const speed = q.done_rate + q.failed_rate;
  if (!q.waiting) return 'nothing waits';
  if (!q.workers) return 'no worker takes them';
  if (!speed) return 'none is done yet';
  const left = q.waiting / speed;
  return left < 2 ? 'done in a moment' : `about ${duration(left < 60 ? Math.round(left) : left)} of work`;
}

function tiles(names) {
  return names.map((name) => {
    const dd = h('dd', {}, NONE);
    const small = h('dd', { class: 'small' }, '\u00a0');
    const box = h('div', { class: 'tile' }, h('dt', {}, name), dd, small);
    $('tiles').append(box);
    return [box, dd, small];
  });
}
