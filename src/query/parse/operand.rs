//! What stands on the right side of an operator, with variables filled in.

use serde_json::Value as Json;

use crate::model::Kind;
use crate::model::Value;
use crate::query::Environment;
use crate::query::QueryError;
use crate::query::environment::Variable;
use crate::query::parse::budget::Budget;
use crate::query::parse::value::not_scalar;
use crate::query::parse::value::value;
use crate::text::pieces;

/// One operand.
pub enum Operand {
    /// Null, or one of the texts that mean it.
    Null,
    /// A variable that stands for nothing.
    Unset,
    /// A value of the field's kind.
    One(Value),
    /// A variable that stands for a list.
    Many(Vec<Value>),
}

/// Where operands are read: for which kind of field, which operator, and whose query.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub kind: Kind,
    pub operator: &'a str,
    pub environment: &'a Environment<'a>,
}

impl Place<'_> {
    /// Reads an operand. In any filter some texts stand for the values they name; those of
    /// booleans are read by type, since a text field is compared with the text.
    pub fn operand(self, json: &Json) -> Result<Operand, QueryError> {
        match json {
            Json::Null => Ok(Operand::Null),
            Json::String(text) if matches!(text.as_str(), "null" | "NULL") => Ok(Operand::Null),
            _ => self.literal(json),
        }
    }

    /// Reads an operand that cannot be null: there the texts are only texts.
    pub fn literal(self, json: &Json) -> Result<Operand, QueryError> {
        let variable = match json {
            Json::String(text) => self.environment.resolve(text)?,
            _ => None,
        };
        match variable {
            None => self.value(json).map(Operand::One),
            Some(Variable::Unset) => Ok(Operand::Unset),
            Some(Variable::One(text)) => self.value(&Json::String(text)).map(Operand::One),
            Some(Variable::Many(texts)) => {
                let values = texts.into_iter().map(|text| self.value(&Json::String(text)));
                values.collect::<Result<_, _>>().map(Operand::Many)
            }
        }
    }

    /// Reads the operands of an operator on lists: a list, a text with commas, or one
    /// alone.
    pub fn operands(
        self,
        json: &Json,
        budget: &mut Budget<'_>,
    ) -> Result<Vec<Operand>, QueryError> {
        match json {
            Json::Array(list) if !list.is_empty() => {
                list.iter().map(|entry| self.counted(entry, budget)).collect()
            }
            Json::String(text) if !text.is_empty() => pieces(text)
                .map(|entry| self.counted(&Json::String(entry.to_owned()), budget))
                .collect(),
            Json::Number(_) | Json::Bool(_) => self.counted(json, budget).map(|one| vec![one]),
            _ => Err(self.not_list()),
        }
    }

    pub fn not_list(self) -> QueryError {
        QueryError::invalid(format!("\"{}\" has to be an array of values", self.operator))
    }

    pub fn not_scalar(self) -> QueryError {
        not_scalar(self.operator)
    }

    fn counted(self, json: &Json, budget: &mut Budget<'_>) -> Result<Operand, QueryError> {
        budget.take()?;
        self.operand(json)
    }

    fn value(self, json: &Json) -> Result<Value, QueryError> {
        value(self.kind, json, self.operator)
    }
}
