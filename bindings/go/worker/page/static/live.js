// The stream of server-sent events: reconnects by itself, and pauses while nobody looks at the tab (a browser has only a few
// connections to one host).

const SILENT = 6000; // ms without a message after which the connection is taken for dead; the worker sends each second

export class Live extends EventTarget {
  constructor(url) {
    super();
    this.url = url;
    this.client = '';
    this.status = '';
    this.wait = 500;
    this.heard = Date.now();
    document.addEventListener('visibilitychange', () => this.visibility());
    setInterval(() => {
      if (this.source && Date.now() - this.heard > SILENT) this.again();
    }, 1000);
    this.open();
  }

  open() {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.close();
    this.heard = Date.now();
    const source = (this.source = new EventSource(this.url));
    source.addEventListener('hello', (e) => {
      this.client = JSON.parse(e.data).client;
      this.wait = 500;
      this.mark('live');
      this.dispatchEvent(new Event('open'));
    });
    for (const name of ['state', 'jobs', 'job']) {
      source.addEventListener(name, (e) => {
        this.heard = Date.now();
        this.dispatchEvent(new CustomEvent(name, { detail: JSON.parse(e.data) }));
      });
    }
    source.onerror = () => { if (source === this.source) this.again(); };
  }

  again() {
    this.close();
    this.mark('lost');
    this.timer = setTimeout(() => this.open(), this.wait);
    this.wait = Math.min(this.wait * 2, 5000);
    this.dispatchEvent(new Event('lost'));
  }

  // halt stops trying until open is called: it needs a token first.
  halt() {
    this.close();
    clearTimeout(this.timer);
    this.mark('locked');
  }

  close() {
    if (this.source) this.source.close();
    this.source = null;
    this.client = '';
  }

  visibility() {
    clearTimeout(this.hide);
    if (document.hidden) {
      this.hide = setTimeout(() => { this.close(); clearTimeout(this.timer); this.timer = undefined; this.mark('paused'); }, 15000);
    } else if (!this.source && this.timer === undefined) {
      this.open();
    }
  }

  mark(status) {
    if (this.status === status) return;
    this.status = status;
    this.dispatchEvent(new CustomEvent('status', { detail: status }));
  }
}
