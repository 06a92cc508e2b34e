'use strict';

// What host functions threw, by the tags that the Python exceptions carry, so that it is the cause of what comes out of
// the run. Kept while something runs that this thread has started; the oldest goes when there are many.

const { threadId } = require('node:worker_threads');

const MOST = 256;

const kept = new Map();

/** Tags are numbers of the process: another thread's are none of ours. */
let last = (threadId + 1) * 2 ** 32;

/** Keeps something, and returns its tag. */
function keep(error) {
  last += 1;
  kept.set(last, error);
  if (kept.size > MOST) kept.delete(kept.keys().next().value);
  return last;
}

/** What has the tag: `{ error }`, which is kept no longer; undefined when it is none of this thread, or too old. */
function take(tag) {
  if (!kept.has(tag)) return undefined;
  const error = kept.get(tag);
  kept.delete(tag);
  return { error };
}

/** How many calls of this thread are going on: those that block it, and those whose promises are not settled. */
let running = 0;

function enter() {
  running += 1;
}

function leave() {
  running -= 1;
  if (running === 0 && kept.size > 0) kept.clear();
}

module.exports = { enter, keep, leave, take };
