//! Interpreters in processes of their own. No Python here, and no handles: what a process says to another, and how.
//!
//! | file | what |
//! |---|---|
//! | `channel` | messages between two processes that speak in turns |

mod channel;
