// Builds elements. Text goes in as text only: what the workers send is never taken for HTML.

export const $ = (id) => document.getElementById(id);

export function h(tag, props, ...children) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) el.addEventListener(name.slice(2), value);
    else if (name === 'class') el.className = value;
    else el.setAttribute(name, value === true ? '' : value);
  }
  el.append(...children.filter((c) => c !== null && c !== undefined && c !== false));
  return el;
}

export function svg(tag, attrs) {
  const el = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attrs || {})) el.setAttribute(name, value);
  return el;
}

export function text(el, value) {
  const s = String(value ?? '');
  if (el.textContent !== s) el.textContent = s;
}

export function attr(el, name, value) {
  if (el.getAttribute(name) !== value) el.setAttribute(name, value);
}

// keyed keeps one child of parent for each item, in the order of the items. A child that stays is updated and not replaced,
// so that focus, selection and what is unfolded survive.
export function keyed(parent, items, keyOf, create, update) {
  const have = parent._keyed || (parent._keyed = new Map());
  const want = new Set(items.map(keyOf));
  for (const [key, el] of have) {
    if (!want.has(key)) { el.remove(); have.delete(key); }
  }
  let at = parent.firstChild;
  for (const item of items) {
    const key = keyOf(item);
    let el = have.get(key);
    if (!el) { el = create(item); have.set(key, el); }
    if (update) update(el, item);
    if (el === at) at = at.nextSibling;
    else parent.insertBefore(el, at);
  }
}

export function empty(title, ...what) {
  return h('div', { class: 'empty' }, h('p', { class: 'title' }, title), ...what);
}

export function toast(message, bad) {
  const box = $('toasts');
  const el = h('div', { class: bad ? 'toast bad' : 'toast' }, message);
  box.append(el);
  while (box.children.length > 4) box.firstChild.remove();
  setTimeout(() => el.remove(), bad ? 10000 : 5000);
}

export function confirm(title, message, yes) {
  const dialog = $('confirm');
  text($('confirm-title'), title);
  text($('confirm-text'), message);
  text($('confirm-yes'), yes);
  dialog.returnValue = 'no';
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener('close', () => done(dialog.returnValue === 'yes'), { once: true }));
}
