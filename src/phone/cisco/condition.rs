//! Conditions: comparisons of integers, version numbers and double-quoted strings, all of which must hold (guide:
//! "Conditional Expressions"). Read after macro expansion, so that every operand has its type, and a comparison that
//! makes no sense is an error before anything is compared.

use std::cmp::Ordering;
use std::fmt;

use super::version::Version;

/// Comparisons joined by `and`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    comparisons: Vec<Comparison>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Comparison {
    left: Literal,
    operator: Operator,
    right: Literal,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Literal {
    Integer(i64),
    Version(Version),
    Text(String),
}

/// How two operands are compared; each has a symbol and an acronym.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What an operand is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Integer,
    /// `sip68xx.11-0-1MPP-376`: the software of a multiplatform phone.
    Load,
    /// `7.5.2b`: the software of a SPA phone, and hardware.
    Dotted,
    Text,
}

/// Why a text is no condition. Offsets are in bytes of the expanded text. What the text says is not repeated where it
/// may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    #[error("there is no condition")]
    Empty,
    #[error("an operand is missing at {at}: a macro that is empty leaves nothing, unless it stands in double quotes")]
    NoOperand { at: usize },
    #[error("an operator (= != < <= > >= eq ne lt le gt ge) is missing at {at}")]
    NoOperator { at: usize },
    #[error("comparisons are joined by `and`, which is missing at {at}")]
    NoAnd { at: usize },
    #[error("the string that begins at {at} is never closed")]
    Unclosed { at: usize },
    #[error("\"{text}\" at {at} is no integer and no version number: a string stands in double quotes")]
    NoLiteral { at: usize, text: String },
    #[error("{operator} at {at} compares integers and version numbers; strings can only be = or !=")]
    NotForStrings { at: usize, operator: Operator },
    #[error("{operator} at {at} has {left} on its left and {right} on its right: both must be of one format")]
    Types { at: usize, operator: Operator, left: Type, right: Type },
}

impl ConditionError {
    /// Byte offset in the text that was read.
    pub fn at(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::NoOperand { at }
            | Self::NoOperator { at }
            | Self::NoAnd { at }
            | Self::Unclosed { at }
            | Self::NoLiteral { at, .. }
            | Self::NotForStrings { at, .. }
            | Self::Types { at, .. } => *at,
        }
    }

    /// The same error in a text that this one begins at `offset` of.
    pub fn moved(mut self, offset: usize) -> Self {
        match &mut self {
            Self::Empty => {}
            Self::NoOperand { at }
            | Self::NoOperator { at }
            | Self::NoAnd { at }
            | Self::Unclosed { at }
            | Self::NoLiteral { at, .. }
            | Self::NotForStrings { at, .. }
            | Self::Types { at, .. } => *at += offset,
        }
        self
    }
}

impl Condition {
    /// Reads an expanded text, without the `( … )?` around it.
    ///
    /// # Errors
    /// With the place of the first thing that is no condition.
    pub fn parse(text: &str) -> Result<Self, ConditionError> {
        let mut reader = Reader { text, at: 0 };
        if reader.peek()?.is_none() {
            return Err(ConditionError::Empty);
        }
        let mut comparisons = Vec::new();
        loop {
            comparisons.push(reader.comparison()?);
            match reader.next()? {
                None => return Ok(Self { comparisons }),
                Some((_, Token::And)) => {}
                Some((at, _)) => return Err(ConditionError::NoAnd { at }),
            }
        }
    }

    pub fn holds(&self) -> bool {
        self.comparisons.iter().all(Comparison::holds)
    }
}

impl Comparison {
    fn holds(&self) -> bool {
        let Some(ordering) = self.left.compare(&self.right) else { return false };
        match self.operator {
            Operator::Equal => ordering.is_eq(),
            Operator::NotEqual => ordering.is_ne(),
            Operator::Less => ordering.is_lt(),
            Operator::LessOrEqual => ordering.is_le(),
            Operator::Greater => ordering.is_gt(),
            Operator::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

impl Literal {
    fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Integer(left), Self::Integer(right)) => Some(left.cmp(right)),
            (Self::Version(left), Self::Version(right)) => left.compare(right),
            (Self::Text(left), Self::Text(right)) => Some(left.cmp(right)),
            _ => None,
        }
    }

    fn kind(&self) -> Type {
        match self {
            Self::Integer(_) => Type::Integer,
            Self::Version(Version::Load(_)) => Type::Load,
            Self::Version(Version::Dotted(_)) => Type::Dotted,
            Self::Text(_) => Type::Text,
        }
    }
}

enum Token<'a> {
    Operator(Operator),
    And,
    Quoted(&'a str),
    Word(&'a str),
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn comparison(&mut self) -> Result<Comparison, ConditionError> {
        let left = self.operand()?;
        let (at, operator) = match self.next()? {
            Some((at, Token::Operator(operator))) => (at, operator),
            Some((at, _)) => return Err(ConditionError::NoOperator { at }),
            None => return Err(ConditionError::NoOperator { at: self.text.len() }),
        };
        let right = self.operand()?;
        if left.kind() != right.kind() {
            return Err(ConditionError::Types { at, operator, left: left.kind(), right: right.kind() });
        }
        if left.kind() == Type::Text && !matches!(operator, Operator::Equal | Operator::NotEqual) {
            return Err(ConditionError::NotForStrings { at, operator });
        }
        Ok(Comparison { left, operator, right })
    }

    fn operand(&mut self) -> Result<Literal, ConditionError> {
        match self.next()? {
            Some((_, Token::Quoted(text))) => Ok(Literal::Text(text.to_owned())),
            Some((at, Token::Word(word))) => {
                literal(word).ok_or_else(|| ConditionError::NoLiteral { at, text: word.to_owned() })
            }
            Some((at, _)) => Err(ConditionError::NoOperand { at }),
            None => Err(ConditionError::NoOperand { at: self.text.len() }),
        }
    }

    fn peek(&self) -> Result<Option<(usize, Token<'a>)>, ConditionError> {
        Reader { text: self.text, at: self.at }.next()
    }

    fn next(&mut self) -> Result<Option<(usize, Token<'a>)>, ConditionError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let trimmed = rest.trim_start();
        let at = self.at + (rest.len() - trimmed.len());
        let (token, length) = match trimmed.as_bytes() {
            [] => return Ok(None),
            [b'"', ..] => {
                let inner = trimmed.get(1..).unwrap_or_default();
                let (inner, _) = inner.split_once('"').ok_or(ConditionError::Unclosed { at })?;
                (Token::Quoted(inner), inner.len() + 2)
            }
            [b'!', b'=', ..] => (Token::Operator(Operator::NotEqual), 2),
            // The SPA guide's form from before 2.0.6.
            [b'!', ..] => (Token::Operator(Operator::NotEqual), 1),
            [b'<', b'=', ..] => (Token::Operator(Operator::LessOrEqual), 2),
            [b'<', ..] => (Token::Operator(Operator::Less), 1),
            [b'>', b'=', ..] => (Token::Operator(Operator::GreaterOrEqual), 2),
            [b'>', ..] => (Token::Operator(Operator::Greater), 1),
            [b'=', ..] => (Token::Operator(Operator::Equal), 1),
            _ => {
                let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '!' | '<' | '>' | '=');
                let end = trimmed.find(ends).unwrap_or(trimmed.len());
                let word = trimmed.get(..end).unwrap_or(trimmed);
                (self::word(word), end)
            }
        };
        self.at = at + length;
        Ok(Some((at, token)))
    }
}

fn word(word: &str) -> Token<'_> {
    Token::Operator(match word {
        "eq" => Operator::Equal,
        "ne" => Operator::NotEqual,
        "lt" => Operator::Less,
        "le" => Operator::LessOrEqual,
        "gt" => Operator::Greater,
        "ge" => Operator::GreaterOrEqual,
        "and" | "AND" => return Token::And,
        other => return Token::Word(other),
    })
}

/// Integers may be negative: `$PRVST` is -1 for a resync that was asked for.
fn literal(word: &str) -> Option<Literal> {
    let digits = word.strip_prefix('-').unwrap_or(word);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return word.parse().ok().map(Literal::Integer);
    }
    Version::parse(word).map(Literal::Version)
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        })
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Integer => "an integer",
            Self::Load => "a version like sip68xx.11-0-1MPP-376",
            Self::Dotted => "a version like 7.5.2b",
            Self::Text => "a string",
        })
    }
}
