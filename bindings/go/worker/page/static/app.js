// Wires the page: what is shown, the live connection, the theme, the login.
import { $, h, text, attr } from './dom.js';
import * as api from './api.js';
import { count } from './format.js';
import { Live } from './live.js';
import { Overview } from './overview.js';
import { Jobs } from './jobs.js';
import { Failures } from './failures.js';
import { Dead } from './dead.js';

const app = {
  queue: '', // the one shown, '' for all
  state: null,
  functions: {},
  functionsVersion: -1,
  now: Date.now(),
  home: '', // the queue of the worker that serves the page
};

const views = { overview: new Overview(app), jobs: new Jobs(app), failures: new Failures(app), dead: new Dead(app) };
let view = '';

function route() {
  const [name, queue, key] = location.hash.slice(1).split('/').map((part) => { try { return decodeURIComponent(part); } catch { return ''; } });
  const next = views[name] ? name : 'overview';
  if (location.hash === '#main') return;
  for (const section of document.querySelectorAll('[data-view]')) section.hidden = section.dataset.view !== next;
  for (const link of document.querySelectorAll('nav a')) {
    if (link.hash === `#${next}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  if (view !== next) window.scrollTo(0, 0);
  view = next;
  document.title = `${document.querySelector(`nav a[href="#${next}"]`).firstChild.textContent.trim()} · subpy worker`;
  if (next === 'jobs' && queue && key) views.jobs.open(queue, key);
  if (!app.state) return;
  badges();
  views[view].render();
}

// load fetches what the stream does not carry: the history for the charts, and the functions.
let loading = false;
async function load() {
  if (loading) return;
  loading = true;
  try {
    const queue = app.queue;
    const state = await api.state(queue);
    if (queue === app.queue) {
      app.home = state.home;
      app.functions = state.functions;
      app.functionsVersion = state.functions_version;
      views.overview.history(state.series);
      show(state);
      views.jobs.functionsChanged();
    }
  } catch (error) {
    if (error.status === 404 && app.queue) choose('');
  } finally {
    loading = false;
  }
}

function show(state) {
  app.state = state;
  app.now = new Date(state.time).getTime();
  document.body.classList.toggle('cut', !state.nats.connected);
  queues(state.queues);
  badges();
  if (state.functions_version !== app.functionsVersion) load();
  mark();
  views[view].render();
}

function shown() {
  if (!app.state) return null;
  return app.queue ? app.state.queues.find((q) => q.name === app.queue) : app.state.total;
}
app.shown = shown;

function badges() {
  const total = shown();
  badge($('nav-failures'), views.failures.unseen(total, view === 'failures'));
  badge($('nav-dead'), total ? total.dead : 0);
}

function badge(el, n) {
  el.hidden = !n;
  text(el, n ? count(n) : '');
}

let names = '';
function queues(list) {
  const now = list.map((q) => q.name).join(' ');
  if (now === names) return;
  names = now;
  const select = $('queue');
  select.replaceChildren(h('option', { value: '' }, 'All queues'), ...list.map((q) => h('option', { value: q.name }, q.name)));
  select.value = app.queue;
  if (select.selectedIndex < 0) choose('');
  views.jobs.queuesChanged(list.map((q) => q.name));
}

function choose(queue) {
  app.queue = queue;
  $('queue').value = queue;
  views.overview.clear();
  views.failures.forget();
  views.dead.forget();
  load();
}
$('queue').addEventListener('change', (e) => choose(e.target.value));
app.choose = choose;
app.again = (queue, request) => views.jobs.again(queue, request);

const WORDS = { connecting: 'Connecting', live: 'Live', lost: 'Connection lost', paused: 'Paused', locked: 'Not signed in' };
function mark() {
  const status = live.status || 'connecting';
  const cut = status === 'live' && app.state && !app.state.nats.connected;
  const el = $('live');
  attr(el, 'data-state', cut ? 'cut' : status);
  text($('live-text'), cut ? 'No NATS' : WORDS[status]);
  attr(el, 'title', cut ? `The worker has no connection to NATS: ${app.state.nats.error || 'it tries again'}`
    : status === 'lost' ? 'The worker does not answer; what you see is old. The page reconnects by itself.' : WORDS[status]);
  document.body.classList.toggle('stale', status === 'lost');
}

const live = new Live('api/events');
app.live = live;
live.addEventListener('status', mark);
live.addEventListener('open', () => { load(); views.jobs.reconnected(); });
live.addEventListener('lost', () => { if (!$('login').open) api.state('').catch(() => {}); });
live.addEventListener('state', (e) => { views.overview.point(e.detail); show(e.detail); });
live.addEventListener('jobs', (e) => views.overview.events(e.detail));
live.addEventListener('job', (e) => views.jobs.event(e.detail));

api.whenUnauthorized(() => {
  live.halt();
  if (!$('login').open) $('login').showModal();
});
$('login').addEventListener('cancel', (e) => e.preventDefault());
$('login-form').addEventListener('submit', async (e) => {
  e.preventDefault();
  const input = $('login-token');
  try {
    await api.login(input.value);
    input.value = '';
    text($('e-login'), '');
    attr(input, 'aria-invalid', 'false');
    $('login').close();
    live.open();
  } catch (error) {
    text($('e-login'), error.whole);
    attr(input, 'aria-invalid', 'true');
    input.select();
  }
});

const THEMES = { auto: ['light', 'Auto', 'automatic'], light: ['dark', 'Light', 'light'], dark: ['auto', 'Dark', 'dark'] };
function theme(name) {
  if (name === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  text($('theme-text'), THEMES[name][1]);
  attr($('theme'), 'aria-label', `Theme: ${THEMES[name][2]}`);
  attr($('theme'), 'title', `Theme: ${THEMES[name][2]}`);
}
$('theme').addEventListener('click', () => {
  const next = THEMES[document.documentElement.dataset.theme || 'auto'][0];
  theme(next);
  try { localStorage.setItem('subpy-theme', next); } catch { /* storage is switched off: it holds for this tab */ }
});
theme(document.documentElement.dataset.theme || 'auto');

$('detail-close').addEventListener('click', () => $('detail').close());
window.addEventListener('hashchange', () => { route(); if (location.hash !== '#main') $('main').focus({ preventScroll: true }); });
route();
