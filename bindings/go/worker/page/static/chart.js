// A line chart over time, drawn as SVG. The legend says the newest values; under the pointer, or with the arrow keys, those of
// a moment.
import { h, svg, text, attr } from './dom.js';
import { clock } from './format.js';

const HEIGHT = 168;
const LEFT = 58;
const RIGHT = 10;
const TOP = 8;
const BOTTOM = 22;

export class Chart {
  constructor(figure, title, unit, series) {
    this.unit = unit;
    this.series = series;
    this.cursor = null;
    this.width = 400;
    this.values = series.map((s) => h('b', {}, '–'));
    this.when = h('span', { class: 'when' });
    const legend = h('ul', { class: 'legend' }, ...series.map((s, i) =>
      h('li', {}, h('span', { class: `key ${s.cls}`, 'aria-hidden': 'true' }), h('span', { class: 'light' }, s.label), ' ', this.values[i])));
    this.svg = svg('svg', { height: HEIGHT, tabindex: '0', role: 'slider', 'aria-label': `${title}: a moment of the chart`, 'aria-valuemin': '0' });
    this.grid = svg('g', { class: 'grid' });
    this.lines = series.map((s) => svg('path', { class: `line ${s.cls}` }));
    this.area = series[0].area ? svg('path', { class: `area ${series[0].cls}` }) : null;
    this.mark = svg('line', { class: 'cursor', y1: TOP, y2: HEIGHT - BOTTOM, visibility: 'hidden' });
    this.hint = svg('text', { class: 'nodata', 'text-anchor': 'middle', y: (HEIGHT - BOTTOM) / 2 + 8 });
    this.svg.append(this.grid, ...(this.area ? [this.area] : []), ...this.lines.reverse(), this.mark, this.hint);
    this.lines.reverse();
    figure.append(h('figcaption', {}, h('h3', {}, title), this.when), legend, this.svg);
    new ResizeObserver(([entry]) => {
      this.width = Math.max(160, Math.floor(entry.contentRect.width));
      this.draw();
    }).observe(this.svg);
    this.svg.addEventListener('pointermove', (e) => {
      const x = e.clientX - this.svg.getBoundingClientRect().left;
      this.moveTo(Math.round(((x - LEFT) / (this.width - LEFT - RIGHT)) * (this.span - 1)));
    });
    this.svg.addEventListener('pointerleave', () => this.moveTo(null));
    this.svg.addEventListener('blur', () => this.moveTo(null));
    this.svg.addEventListener('keydown', (e) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: 10, PageDown: -10, Home: -1e9, End: 1e9 }[e.key];
      if (step === undefined) return;
      e.preventDefault();
      this.moveTo((this.cursor ?? this.span - 1) + step);
    });
  }

  moveTo(at) {
    this.cursor = at === null ? null : Math.max(0, Math.min(this.span - 1, at));
    this.draw();
  }

  // data: for each series an array with one value a second, the newest last, null where there is none; end: the newest's time.
  show(data, span, end) {
    this.data = data;
    this.span = span;
    this.end = end;
    this.draw();
  }

  draw() {
    if (!this.data) return;
    const { width, span } = this;
    attr(this.svg, 'viewBox', `0 0 ${width} ${HEIGHT}`);
    const shown = this.data.map((values) => values.slice(-span));
    let top = 0;
    for (const values of shown) for (const v of values) if (v !== null && v > top) top = v;
    const none = shown.every((values) => values.every((v) => v === null));
    text(this.hint, none ? 'Nothing ran in this time' : '');
    attr(this.hint, 'x', String(LEFT + (width - LEFT - RIGHT) / 2));
    const ticks = steps(top, this.unit.floor);
    const max = ticks[ticks.length - 1];
    const y = (v) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - v / max);
    const x = (i) => LEFT + ((width - LEFT - RIGHT) * i) / (span - 1);
    this.axes(ticks, x, y, none);
    shown.forEach((values, s) => {
      const offset = span - values.length;
      let d = '';
      let pen = false;
      values.forEach((v, i) => {
        if (v === null) { pen = false; return; }
        d += `${pen ? 'L' : 'M'}${x(i + offset).toFixed(1)} ${y(v).toFixed(1)}`;
        pen = true;
      });
      attr(this.lines[s], 'd', d);
      if (s === 0 && this.area) attr(this.area, 'd', fill(values, offset, x, y));
    });
    const at = this.cursor === null ? span - 1 : this.cursor;
    const said = [];
    shown.forEach((values, s) => {
      const v = values[at - (span - values.length)];
      const word = this.unit.format(v === undefined ? null : v);
      text(this.values[s], word);
      said.push(`${this.series[s].label} ${word}`);
    });
    const time = clock(this.end - (span - 1 - at) * 1000);
    text(this.when, this.cursor === null ? '' : time);
    attr(this.mark, 'visibility', this.cursor === null ? 'hidden' : 'visible');
    attr(this.mark, 'x1', x(at).toFixed(1));
    attr(this.mark, 'x2', x(at).toFixed(1));
    attr(this.svg, 'aria-valuemax', String(span - 1));
    attr(this.svg, 'aria-valuenow', String(at));
    attr(this.svg, 'aria-valuetext', `${time}: ${said.join(', ')}`);
  }

  axes(ticks, x, y, none) {
    const parts = [];
    for (const tick of none ? [0] : ticks) {
      parts.push(svg('line', { x1: LEFT, x2: this.width - RIGHT, y1: y(tick), y2: y(tick) }));
      const label = svg('text', { x: LEFT - 8, y: y(tick) + 3.5, 'text-anchor': 'end' });
      label.textContent = this.unit.tick(tick);
      parts.push(label);
    }
    for (const share of [0, 0.5, 1]) {
      const label = svg('text', { x: x((this.span - 1) * share), y: HEIGHT - 5, 'text-anchor': share === 0 ? 'start' : share === 1 ? 'end' : 'middle' });
      const back = Math.round(this.span * (1 - share));
      label.textContent = back === 0 ? 'now' : back % 60 === 0 ? `−${back / 60} min` : back > 60 ? `−${(back / 60).toFixed(1)} min` : `−${back} s`;
      parts.push(label);
    }
    this.grid.replaceChildren(...parts);
  }
}

function fill(values, offset, x, y) {
  let d = '';
  let from = -1;
  for (let i = 0; i <= values.length; i++) {
    if (i < values.length && values[i] !== null) {
      if (from < 0) { from = i; d += `M${x(i + offset).toFixed(1)} ${y(0).toFixed(1)}`; }
      d += `L${x(i + offset).toFixed(1)} ${y(values[i]).toFixed(1)}`;
    } else if (from >= 0) {
      d += `L${x(i - 1 + offset).toFixed(1)} ${y(0).toFixed(1)}Z`;
      from = -1;
    }
  }
  return d;
}

// steps returns round numbers from 0 to at least top.
function steps(top, floor) {
  top = Math.max(top, floor);
  const rough = top / 3;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].find((s) => s * power >= rough * 0.999) * power;
  const ticks = [0];
  while (ticks[ticks.length - 1] < top * 0.999) ticks.push(step * ticks.length);
  return ticks;
}
