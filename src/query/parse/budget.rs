//! How much one query may still ask for.

use crate::query::Limits;
use crate::query::QueryError;

/// What is left of the bounds of one query. A part that would exceed them is refused.
pub struct Budget {
    parts: usize,
    left: usize,
    depth: usize,
}

impl Budget {
    pub fn new(limits: &Limits) -> Self {
        Self { parts: limits.parts, left: limits.parts, depth: limits.depth }
    }

    /// Takes one part: a field, a sort key, a filter test or a value in a filter's list.
    pub fn take(&mut self) -> Result<(), QueryError> {
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            QueryError::invalid(format!("A query may have at most {} parts", self.parts))
        })?;
        Ok(())
    }

    /// Checks the number of names in a path.
    pub fn check_depth(&self, names: usize) -> Result<(), QueryError> {
        if names > self.depth {
            return Err(QueryError::invalid("Max relational depth exceeded"));
        }
        Ok(())
    }
}
