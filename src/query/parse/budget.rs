//! How much one query may still ask for, and what it may name.

use crate::model::Collection;
use crate::model::Field;
use crate::query::Limits;
use crate::query::QueryError;
use crate::query::Sight;

/// What is left of the bounds of one query. A part that would exceed them is refused.
pub struct Budget<'a> {
    limits: Limits,
    left: usize,
    relations_left: usize,
    sight: Option<&'a dyn Sight>,
}

impl<'a> Budget<'a> {
    pub fn new(limits: &Limits, sight: Option<&'a dyn Sight>) -> Self {
        let (left, relations_left) = (limits.parts, limits.relations);
        Self { limits: limits.clone(), left, relations_left, sight }
    }

    /// Returns the field with this name, unless there is none or it may not be named.
    pub fn field(&self, collection: &'static Collection, name: &str) -> Option<&'static Field> {
        let field = collection.field(name)?;
        self.sight.is_none_or(|sight| sight.sees(collection, field)).then_some(field)
    }

    /// Takes one part: a field, a sort key, a filter test, a value in a filter's list, a total.
    pub fn take(&mut self) -> Result<(), QueryError> {
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            QueryError::invalid(format!("A query may have at most {} parts", self.limits.parts))
        })?;
        Ok(())
    }

    /// Takes so many relations that are followed.
    pub fn follow(&mut self, count: usize) -> Result<(), QueryError> {
        self.relations_left = self.relations_left.checked_sub(count).ok_or_else(|| {
            QueryError::invalid(format!(
                "A query may follow at most {} relations",
                self.limits.relations
            ))
        })?;
        Ok(())
    }

    /// Checks the length of a text that is to be looked for inside others.
    pub fn check_needle(&self, text: &str) -> Result<(), QueryError> {
        let max = self.limits.needle;
        // A text has at least as many bytes as characters.
        if text.len() > max && text.chars().count() > max {
            return Err(QueryError::invalid(format!(
                "A text to look for may have at most {max} characters"
            )));
        }
        Ok(())
    }

    /// Checks the number of names in a path.
    pub fn check_depth(&self, names: usize) -> Result<(), QueryError> {
        if names > self.limits.depth {
            return Err(QueryError::invalid("Max relational depth exceeded"));
        }
        Ok(())
    }

    /// Returns the bounds of lists.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }
}
