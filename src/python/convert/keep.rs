//! What is in a copy of a value and lies elsewhere.

use super::super::{objects, queue};
use crate::value::{self, Builder, NotCopied, subpy_value};

/// For the copies of what a host passes (`OwnedValue::copy_with`).
pub fn keep(value: &subpy_value, builder: &mut Builder) -> Result<subpy_value, NotCopied> {
    match value.kind {
        value::OBJECT => objects::keep(value, builder),
        value::QUEUE => queue::keep(value, builder),
        _ => Ok(*value),
    }
}
