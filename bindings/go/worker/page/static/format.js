// Numbers, times and durations for people.

const whole = new Intl.NumberFormat('en');
const one = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });

export const NONE = '–';

export function count(n) {
  if (n === null || n === undefined) return NONE;
  return n < 1e6 ? whole.format(n) : compact.format(n);
}

export function rate(n) {
  if (n === null || n === undefined) return NONE;
  if (n === 0) return '0 /s';
  if (n < 0.1) return `${one.format(n * 60)} /min`;
  return `${n < 100 ? one.format(n) : count(Math.round(n))} /s`;
}

export function duration(s) {
  if (s === null || s === undefined) return NONE;
  if (s === 0) return '0 s';
  if (s < 0.001) return `${Math.round(s * 1e6)} µs`;
  if (s < 1) return `${digits(s * 1000)} ms`;
  if (s < 60) return `${digits(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${Math.floor(s % 60)} s`;
  if (s < 172800) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} days`;
}

const digits = (n) => (n < 10 ? n.toFixed(2) : n < 100 ? n.toFixed(1) : n.toFixed(0)).replace(/\.0+$/, '');

export function bytes(n) {
  if (n === null || n === undefined) return NONE;
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let i = 0;
  while (n >= 1000 && i < units.length - 1) { n /= 1000; i++; }
  return `${i ? one.format(n) : n} ${units[i]}`;
}

export function clock(time) {
  const d = new Date(time);
  return isNaN(d) ? NONE : d.toLocaleTimeString('en-GB');
}

export function full(time) {
  const d = new Date(time);
  return isNaN(d) ? '' : d.toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'long' });
}

export function ago(time, now) {
  const s = (now - new Date(time)) / 1000;
  if (isNaN(s)) return NONE;
  if (s < 1.5) return 'just now';
  if (s < 60) return `${Math.floor(s)} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  if (s < 172800) return `${Math.floor(s / 3600)} h ago`;
  return `${Math.floor(s / 86400)} days ago`;
}

export const KINDS = {
  exception: 'exception', timeout: 'timeout', crashed: 'crashed', deadline: 'deadline', cancelled: 'cancelled', value: 'bad value',
  invalid: 'invalid request', 'unknown-function': 'unknown function', poison: 'poison',
};
