//! Dial plans. Cisco's (guide: "DialPlanScript", which names it and shows two), Aastra's (`sip dial plan`) and
//! Grandstream's (`{ x+ | *x+ }`) have brackets in common, and little else. No guide at hand has a whole grammar: what goes
//! beyond their samples, timers and their limit of 64 seconds among it, is common practice, and may have to be widened.

use super::{Quoted, Wrong};
use crate::packs::Dialect;

pub(super) fn dial_plan(dialect: Dialect, value: &str) -> Result<(), Wrong> {
    match dialect {
        Dialect::CiscoMpp | Dialect::CiscoSpa => cisco(value),
        Dialect::Aastra => aastra(value),
        Dialect::Grandstream => {
            characters(value, "0123456789xX*#+{}[]<>=-|^.,!TtABCDabcd\\()@:;?&_~% ").and_then(|()| balanced(value))
        }
        Dialect::Unknown => balanced(value),
    }
}

/// Mitel's and Aastra's guides write it in double quotes, and without.
fn aastra(value: &str) -> Result<(), Wrong> {
    let (offset, plan) = match value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(plan) => (1, plan),
        None => (0, value),
    };
    characters(plan, "0123456789xX*#+[]-|;,^().!tT ").and_then(|()| balanced(plan)).map_err(|wrong| wrong.moved(offset))
}

fn characters(value: &str, known: &str) -> Result<(), Wrong> {
    match value.char_indices().find(|(_, c)| !known.contains(*c)) {
        None => Ok(()),
        Some((at, c)) => {
            let character = value.get(at..at + c.len_utf8()).unwrap_or_default();
            Err(Wrong::new(format!("a dial plan cannot hold {}", Quoted(character))).at(at..at + c.len_utf8()))
        }
    }
}

/// Every bracket has its other half. One after a backslash is a character like any other.
fn balanced(value: &str) -> Result<(), Wrong> {
    let mut open: Vec<(usize, char)> = Vec::new();
    let mut escaped = false;
    for (at, c) in value.char_indices() {
        let plain = std::mem::take(&mut escaped);
        match c {
            _ if plain => {}
            '\\' => escaped = true,
            '(' => open.push((at, ')')),
            '[' => open.push((at, ']')),
            '{' => open.push((at, '}')),
            '<' => open.push((at, '>')),
            ')' | ']' | '}' | '>' if open.pop().is_none_or(|(_, closing)| closing != c) => return Err(stray(at, c)),
            _ => {}
        }
    }
    open.pop().map_or(Ok(()), |(at, closing)| Err(unclosed(at, closing)))
}

fn stray(at: usize, c: char) -> Wrong {
    Wrong::new(format!("the {c} closes nothing")).at(at..at + 1)
}

fn unclosed(at: usize, closing: char) -> Wrong {
    Wrong::new(format!("a {closing} is missing: what is opened here is never closed")).at(at..at + 1)
}

/// `L:15,S:5,( … | … )`: timers for the whole plan, then sequences in parentheses.
fn cisco(value: &str) -> Result<(), Wrong> {
    let mut reader = Reader { value, at: 0 };
    reader.spaces();
    while let Some(timer @ ('L' | 'S' | 'P')) = reader.peek() {
        reader.next();
        if reader.peek() != Some(':') {
            return Err(reader.wrong(format!("the timer {timer} before the parentheses must be like {timer}:10,")));
        }
        reader.next();
        reader.timer(timer)?;
        reader.spaces();
        if reader.peek() == Some(',') {
            reader.next();
        }
        reader.spaces();
    }
    if reader.peek() != Some('(') {
        return Err(reader.wrong("a dial plan must stand in parentheses: (xx.)"));
    }
    let opened = reader.at;
    reader.next();
    let mut empty = true;
    loop {
        match reader.peek() {
            None => return Err(unclosed(opened, ')')),
            Some(end @ ('|' | ')')) => {
                if empty {
                    return Err(reader.wrong(format!("nothing stands before the {end}: a sequence must have a digit")));
                }
                reader.next();
                if end == ')' {
                    break;
                }
                empty = true;
            }
            Some(' ') => reader.next(),
            Some(_) => {
                reader.element(empty)?;
                empty = false;
            }
        }
    }
    reader.spaces();
    match reader.peek() {
        None => Ok(()),
        Some(c) => Err(reader.wrong(format!("{} stands after the dial plan's end", Quoted(&c.to_string())))),
    }
}

struct Reader<'v> {
    value: &'v str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.value.get(self.at..).and_then(|rest| rest.chars().next())
    }

    fn next(&mut self) {
        self.at += self.peek().map_or(0, char::len_utf8);
    }

    fn spaces(&mut self) {
        while self.peek() == Some(' ') {
            self.next();
        }
    }

    fn wrong(&self, message: impl Into<String>) -> Wrong {
        Wrong::new(message).at(self.at..self.at + self.peek().map_or(0, char::len_utf8))
    }

    /// The digits of a timer. L and S take seconds up to 64, as the Interdigit timers do; P holds the hot line's delay.
    fn timer(&mut self, name: char) -> Result<(), Wrong> {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.next();
        }
        let digits = self.value.get(start..self.at).unwrap_or_default();
        match digits.parse::<u32>() {
            Ok(0..=64) => Ok(()),
            Ok(_) => Err(Wrong::new(format!("the timer {name} must be 0 to 64 seconds")).at(start..self.at)),
            Err(_) if digits.is_empty() => Err(self.wrong(format!("the timer {name} must have a number of seconds"))),
            Err(_) => Err(Wrong::new(format!("the timer {name} must be 0 to 64 seconds")).at(start..self.at)),
        }
    }

    /// One element of a sequence; `first` is one that nothing stands before.
    fn element(&mut self, first: bool) -> Result<(), Wrong> {
        let Some(c) = self.peek() else { return Ok(()) };
        match c {
            '0'..='9' | '*' | '#' | '+' | 'x' | 'X' | ',' | '!' => self.next(),
            '.' if first => return Err(self.wrong("the . repeats what stands before it, and nothing does")),
            '.' => self.next(),
            // `S0` ends the wait for more digits, `L5` and `P5` set it for this sequence; a colon is an older spelling.
            'S' | 'L' | 'P' => {
                self.next();
                if self.peek() == Some(':') {
                    self.next();
                }
                self.timer(c)?;
            }
            '[' => self.range()?,
            '<' => self.substitution()?,
            ']' | '>' => return Err(stray(self.at, c)),
            '(' => return Err(self.wrong("a ( cannot stand within a dial plan")),
            _ => {
                let character = c.to_string();
                return Err(self.wrong(format!("a dial plan cannot hold {}", Quoted(&character))));
            }
        }
        Ok(())
    }

    /// `[2-9]`, `[13*]`: one of some digits.
    fn range(&mut self) -> Result<(), Wrong> {
        let opened = self.at;
        self.next();
        let start = self.at;
        let mut low = None;
        loop {
            match self.peek() {
                None | Some('|' | ')' | '(' | '[') => return Err(unclosed(opened, ']')),
                Some(']') if self.at == start => return Err(self.wrong("[ ] must hold a digit")),
                Some(']') => break,
                Some('-') => {
                    let dash = self.at;
                    self.next();
                    let high = self.peek().filter(char::is_ascii_digit);
                    match (low, high) {
                        (Some(low), Some(high)) if low <= high => {}
                        _ => {
                            return Err(Wrong::new("a range must go from a lower digit to a higher, like 2-9")
                                .at(dash.saturating_sub(1)..self.at + 1));
                        }
                    }
                    self.next();
                    low = None;
                }
                Some(digit @ '0'..='9') => {
                    low = Some(digit);
                    self.next();
                }
                Some('*' | '#' | '+' | ',' | ' ' | 'x' | 'X') => {
                    low = None;
                    self.next();
                }
                Some(c) => return Err(self.wrong(format!("[ ] cannot hold {}", Quoted(&c.to_string())))),
            }
        }
        self.next();
        Ok(())
    }

    /// `<8:1650>`, `<:1408>`, `<9,:>`: what is dialled, and what is sent in its place.
    fn substitution(&mut self) -> Result<(), Wrong> {
        let opened = self.at;
        self.next();
        let mut colon = false;
        loop {
            match self.peek() {
                None | Some('|' | '<') => return Err(unclosed(opened, '>')),
                Some('>') if !colon => {
                    return Err(
                        Wrong::new("a substitution must be <dialled:sent>, with a colon").at(opened..self.at + 1)
                    );
                }
                Some('>') => break,
                Some(':') if !colon => {
                    colon = true;
                    self.next();
                }
                // What is sent may be an address of any kind.
                Some(_) if colon => self.next(),
                Some('[') => self.range()?,
                Some('0'..='9' | '*' | '#' | '+' | 'x' | 'X' | ',' | '.' | ' ') => self.next(),
                Some(c) => return Err(self.wrong(format!("what is dialled cannot hold {}", Quoted(&c.to_string())))),
            }
        }
        self.next();
        Ok(())
    }
}
