// A table whose rows are updated in place; on a narrow screen each row is a small card (style.css). The roles are written out,
// because a table that is no table in CSS loses them.
import { h, text, attr, keyed } from './dom.js';

export function table(parent, labelledBy, heads) {
  const columns = heads.map((head) => { const [name, kind] = head.split('|'); return { name, number: kind === 'n' }; });
  const body = h('tbody', { role: 'rowgroup' });
  const el = h('table', { role: 'table', 'aria-labelledby': labelledBy },
    h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, ...columns.map((c) => h('th', { role: 'columnheader', scope: 'col', class: c.number ? 'n' : '' }, c.name)))), body);
  const none = h('div', {});
  parent.append(el, none);

  const create = () => h('tr', { role: 'row' }, ...columns.map((c) => h('td', { role: 'cell', 'data-label': c.name })));

  return {
    show(items, keyOf, cellsOf, whenEmpty) {
      el.hidden = items.length === 0;
      if (items.length) none.replaceChildren();
      else if (!none.firstChild) none.append(whenEmpty());
      keyed(body, items, keyOf, create, (row, item) => {
        cellsOf(item).forEach((cell, i) => fill(row.children[i], typeof cell === 'object' ? cell : { text: cell }, columns[i].number));
      });
    },
  };
}

function fill(td, cell, number) {
  const kind = cell.link !== undefined ? 'link' : cell.badge !== undefined ? 'badge' : cell.href ? 'href' : 'text';
  if (td.dataset.kind !== kind) {
    td.dataset.kind = kind;
    if (kind === 'link') td.replaceChildren(h('button', { type: 'button', class: 'link', onclick: () => td._do() }));
    else if (kind === 'badge') td.replaceChildren(h('span', { class: 'badge' }));
    else if (kind === 'href') td.replaceChildren(h('a', {}));
    else td.replaceChildren(h('span', {}));
    if (cell.meter !== undefined) td.append(h('span', { class: 'meter', 'aria-hidden': 'true' }, h('span', {})));
  }
  const el = td.firstChild;
  text(el, cell.link ?? cell.badge ?? cell.text);
  if (kind === 'link') td._do = cell.do;
  if (kind === 'href') attr(el, 'href', cell.href);
  if (kind === 'badge') attr(el, 'class', `badge ${cell.cls || ''}`);
  attr(td, 'class', `${number ? 'n' : ''} ${kind === 'badge' ? '' : cell.cls || ''}`.trim());
  if (cell.title) attr(td, 'title', cell.title);
  else td.removeAttribute('title');
  if (cell.meter !== undefined) td.lastChild.firstChild.style.width = `${Math.round(Math.min(1, cell.meter) * 100)}%`;
}
