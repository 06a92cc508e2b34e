use subpy::{Arg, Kind, Value};

/// An argument that may have no value.
#[derive(Clone)]
pub struct Even(pub i64);

impl Arg for Even {
    fn into_arg(self, place: std::fmt::Arguments) -> subpy::Result<Value> {
        if self.0 % 2 == 0 {
            return Ok(self.0.into());
        }
        Err(Kind::InvalidArgument(format!("{place}: {} is odd", self.0)).into())
    }
}
