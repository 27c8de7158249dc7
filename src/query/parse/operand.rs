//! Parses operands of operators and resolves variables.

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
    /// Null, or one of the texts that represent it.
    Null,
    /// A variable without a value.
    Unset,
    /// A value of the field's type.
    One(Value),
    /// A variable with a list of values.
    Many(Vec<Value>),
}

/// The context of an operand: the type of the field, the operator, and the variables.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub kind: Kind,
    pub operator: &'a str,
    pub environment: &'a Environment<'a>,
}

impl Place<'_> {
    /// Parses an operand. The texts that represent null are recognized in every filter. Those of
    /// booleans depend on the type, since a text field is compared with the text.
    pub fn operand(self, json: &Json) -> Result<Operand, QueryError> {
        match json {
            Json::Null => Ok(Operand::Null),
            Json::String(text) if matches!(text.as_str(), "null" | "NULL") => Ok(Operand::Null),
            _ => self.literal(json),
        }
    }

    /// Parses an operand that cannot be null: texts that represent null are only texts.
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

    /// Parses the operands of a list operator: a list, a comma-separated text, or a single value.
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
