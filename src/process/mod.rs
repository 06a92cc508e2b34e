//! The other home of an interpreter: a process of its own. What is said to it, and how.
//!
//! | file | what |
//! |---|---|
//! | `wire` | values as bytes |

mod wire;
