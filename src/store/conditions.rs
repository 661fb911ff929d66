//! What a query asks for, put together: text from here, values from outside as parameters only.

use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe};

/// `WHERE …` and the values of its parameters.
#[derive(Debug, Default)]
pub struct Conditions {
    text: String,
    values: Vec<Value>,
}

#[derive(Debug)]
pub enum Value {
    Integer(i64),
    Text(String),
}

impl Conditions {
    pub fn and(&mut self, comparison: &str, value: Value) {
        let parameter = self.parameter(value);
        self.and_text(&format!("{comparison}{parameter}"));
    }

    /// A condition that is one of this folder's own texts.
    pub fn and_text(&mut self, condition: &str) {
        self.text.push_str(if self.text.is_empty() { "WHERE " } else { " AND " });
        self.text.push_str(condition);
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn parameter(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    pub fn query(self, sql: String) -> Query<'static, Any, AnyArguments> {
        // Put together from this folder's own texts; everything from outside is a parameter.
        let query = sqlx::query(AssertSqlSafe(sql));
        self.values.into_iter().fold(query, |query, value| match value {
            Value::Integer(value) => query.bind(value),
            Value::Text(value) => query.bind(value),
        })
    }
}
