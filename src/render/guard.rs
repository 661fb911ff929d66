//! Stops templates that loop or grow without end. Tera has no bound on time, and nothing outside can end it; so steps are
//! written into each template before it is compiled, at the places where it may spend time: before each loop and include, in
//! components, in loops that lie within something, and after values that are set there. A step is a call of a function that
//! fails when the time is over or the value is too large. A template that writes is bounded by its writer, too.

use std::cell::Cell;
use std::time::{Duration, Instant};

use tera::{Error, Kwargs, State, Tera, TeraResult, Value};

use crate::config;

/// How long a render may take where nothing else is said.
const TIME: Duration = Duration::from_secs(5);

/// The name of the function. No template may call it by itself, and none has a reason to.
const STEP: &str = "__step";

/// What one render may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Of the profile, and of each value that a loop makes.
    pub bytes: usize,
    pub time: Duration,
}

impl From<usize> for Limit {
    fn from(bytes: usize) -> Self {
        Self { bytes, time: TIME }
    }
}

impl From<&config::Limits> for Limit {
    fn from(limits: &config::Limits) -> Self {
        Self { bytes: limits.profile_bytes, time: limits.render_time }
    }
}

/// Why a render was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    Time,
    Size,
}

#[derive(Clone, Copy)]
struct Running {
    deadline: Instant,
    bytes: usize,
    stopped: Option<Stopped>,
}

thread_local! {
    /// A render is all on one thread.
    static RUNNING: Cell<Option<Running>> = const { Cell::new(None) };
}

/// Bounds the renders of this thread as long as it lives.
pub struct Guard {
    before: Option<Running>,
}

impl Guard {
    pub fn begin(limit: Limit) -> Self {
        let running = Running { deadline: Instant::now() + limit.time, bytes: limit.bytes, stopped: None };
        Self { before: RUNNING.replace(Some(running)) }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        RUNNING.set(self.before);
    }
}

/// Why the render of this thread was stopped, if it was.
pub fn stopped() -> Option<Stopped> {
    RUNNING.get().and_then(|running| running.stopped)
}

/// False when the time is over.
pub fn is_in_time() -> bool {
    let Some(running) = RUNNING.get() else { return true };
    let is_over = Instant::now() >= running.deadline;
    if is_over {
        RUNNING.set(Some(Running { stopped: Some(Stopped::Time), ..running }));
    }
    !is_over
}

/// Adds the function that the steps call.
pub fn register(tera: &mut Tera) {
    tera.register_function(STEP, |kwargs: Kwargs, _: &State| -> TeraResult<Value> {
        if !is_in_time() {
            return Err(Error::message("it takes too long"));
        }
        if let (Some(running), Some(value)) = (RUNNING.get(), kwargs.get::<Value>("of")?)
            && size(&value, running.bytes) > running.bytes
        {
            RUNNING.set(Some(Running { stopped: Some(Stopped::Size), ..running }));
            return Err(Error::message("a value grows too large"));
        }
        Ok(Value::from(""))
    });
}

/// How large a value is when it is written out, roughly, and counted no further than the limit.
fn size(value: &Value, limit: usize) -> usize {
    if let Some(text) = value.as_str() {
        return text.len() + 1;
    }
    let mut sum = 1;
    if let Some(items) = value.as_array() {
        for item in items {
            if sum > limit {
                break;
            }
            sum += size(item, limit - sum.min(limit));
        }
    } else if let Some(map) = value.as_map() {
        for item in map.values() {
            if sum > limit {
                break;
            }
            sum += size(item, limit - sum.min(limit));
        }
    }
    sum
}

/// A template with its steps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guarded {
    pub text: String,
    /// Line, column (both counted from 1) and length in characters of each step, in the text with steps.
    steps: Vec<(usize, usize, usize)>,
}

impl Guarded {
    /// Where a column of the text with steps is in the text without.
    pub fn column(&self, line: usize, column: usize) -> usize {
        let before = self.steps.iter().filter(|(own, begin, _)| *own == line && *begin < column);
        column - before.map(|(_, begin, length)| (*length).min(column - begin)).sum::<usize>()
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn step(&mut self, step: &str) {
        let line = self.text.matches('\n').count() + 1;
        let begin = self.text.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        self.steps.push((line, begin, step.len()));
        self.text.push_str(step);
    }
}

/// Writes the steps into a template. What Tera does not understand it is left to complain about.
pub fn guarded(template: &str) -> Guarded {
    let mut guarded = Guarded::default();
    // What tags are open, of those that count.
    let mut open: Vec<Open> = Vec::new();
    let is_child = tags(template).any(|tag| tag.word() == "extends");
    let mut done = 0;
    for tag in tags(template) {
        let text = tag.text;
        let (word, rest) = (tag.word(), tag.rest());
        // Outside of blocks, a template that extends another writes nothing and runs nothing.
        let is_idle = is_child && open.is_empty();
        let depth = open.iter().filter(|open| !matches!(open, Open::Block)).count();
        guarded.push(template.get(done..tag.begin).unwrap_or_default());
        done = tag.begin + text.len();
        if matches!(word, "for" | "include") && !is_idle {
            let before = if text.starts_with("{%-") { "{{- __step() }}" } else { "{{ __step() }}" };
            guarded.step(before);
        }
        guarded.push(text);
        let mut after = |of: &str| {
            let end = if text.ends_with("-%}") { "-}}" } else { "}}" };
            guarded.step(&format!("{{{{ {STEP}({of}) {end}"));
        };
        match word {
            "for" => {
                if depth > 0 {
                    after("");
                }
                open.push(Open::Loop);
            }
            "component" => {
                after("");
                open.push(Open::Loop);
            }
            "filter" => open.push(Open::Loop),
            "block" => open.push(Open::Block),
            "set" | "set_global" => match rest.split_once('=') {
                Some((name, _)) if depth > 0 => after(&format!("of={}", name.trim())),
                Some(_) => {}
                None => {
                    // `{% set text | upper %}` has filters behind the name.
                    let name = rest.split('|').next().unwrap_or_default().trim();
                    open.push(Open::Set(name.to_owned()));
                }
            },
            "endset" => {
                if let Some(Open::Set(name)) = open.pop()
                    && depth > 1
                {
                    after(&format!("of={name}"));
                }
            }
            "endfor" | "endcomponent" | "endfilter" | "endblock" => drop(open.pop()),
            _ => {}
        }
    }
    guarded.push(template.get(done..).unwrap_or_default());
    guarded
}

enum Open {
    Loop,
    Block,
    /// `{% set name %}` without a value: what comes until its end.
    Set(String),
}

/// A `{% … %}` of a template.
struct Tag<'t> {
    begin: usize,
    text: &'t str,
}

impl<'t> Tag<'t> {
    fn inner(&self) -> &'t str {
        self.text.trim_start_matches("{%").trim_end_matches("%}").trim_matches('-').trim()
    }

    fn word(&self) -> &'t str {
        let inner = self.inner();
        inner.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default()
    }

    fn rest(&self) -> &'t str {
        self.inner().get(self.word().len()..).unwrap_or_default().trim()
    }
}

/// The tags of a template, but those in comments and in `{% raw %}`.
fn tags(template: &str) -> impl Iterator<Item = Tag<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = template.get(at..)?;
            let begin = at + rest.find("{{").into_iter().chain(rest.find("{%")).chain(rest.find("{#")).min()?;
            let rest = template.get(begin..)?;
            if rest.starts_with("{#") {
                at = begin + rest.find("#}")? + 2;
                continue;
            }
            let is_tag = rest.starts_with("{%");
            let length = end_of(rest, if is_tag { "%}" } else { "}}" })?;
            at = begin + length;
            let tag = Tag { begin, text: rest.get(..length)? };
            if !is_tag {
                continue;
            }
            if tag.word() == "raw" {
                // What follows is text until the tag that ends it.
                let mut ends = template.get(at..)?.match_indices("{%").map(|(found, _)| at + found);
                let is_end = |found: &usize| {
                    let rest = template.get(*found..).unwrap_or_default();
                    let inner = rest.trim_start_matches("{%").trim_start_matches('-').trim_start();
                    inner.starts_with("endraw")
                };
                at = ends.find(is_end)?;
                at += template.get(at..)?.find("%}")? + 2;
                continue;
            }
            return Some(tag);
        }
    })
}

/// The length of a tag, whose texts may hold its end.
fn end_of(tag: &str, end: &str) -> Option<usize> {
    let mut quote = None;
    let mut is_escaped = false;
    for (at, c) in tag.char_indices() {
        match quote {
            Some(_) if is_escaped => is_escaped = false,
            Some(_) if c == '\\' => is_escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'' | '`') => quote = Some(c),
            None if at >= 2 && tag.get(at..).is_some_and(|rest| rest.starts_with(end)) => return Some(at + end.len()),
            None => {}
        }
    }
    None
}

/// The line, counted from 1, of a list comprehension within a list: it runs in one go, and can't be stopped.
pub fn unstoppable(template: &str) -> Option<(usize, String)> {
    let mut at = 0;
    while let Some(rest) = template.get(at..) {
        let begin = at + rest.find("{{").into_iter().chain(rest.find("{%")).min()?;
        let rest = template.get(begin..)?;
        let Some(length) = end_of(rest, if rest.starts_with("{%") { "%}" } else { "}}" }) else {
            at = begin + 2;
            continue;
        };
        if nests(rest.get(..length)?) {
            let line = template.get(..begin)?.matches('\n').count() + 1;
            let message = "a list comprehension within a list can't be stopped when it takes too long; use {% for %}";
            return Some((line, message.to_owned()));
        }
        at = begin + length;
    }
    None
}

fn nests(tag: &str) -> bool {
    let (mut depth, mut quote, mut is_escaped, mut word) = (0_u32, None, false, String::new());
    for c in tag.chars() {
        if let Some(open) = quote {
            match c {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                c if c == open => quote = None,
                _ => {}
            }
            continue;
        }
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        if word == "for" && depth > 1 {
            return true;
        }
        word.clear();
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            '"' | '\'' | '`' => quote = Some(c),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Limit = Limit { bytes: 10_000, time: Duration::from_millis(100) };

    fn render(template: &str, limit: Limit) -> (Result<String, String>, Option<Stopped>) {
        let mut tera = Tera::default();
        register(&mut tera);
        tera.add_raw_template("inner", &guarded("{% for c in many %}{% endfor %}").text).unwrap();
        tera.add_raw_template("t", &guarded(template).text).unwrap_or_else(|error| panic!("{template}: {error}"));
        let mut context = tera::Context::new();
        context.insert("many", &(0..3_000).collect::<Vec<_>>());
        let _guard = Guard::begin(limit);
        let result = tera.render("t", &context).map_err(|error| error.to_string());
        (result, stopped())
    }

    #[test]
    fn what_loops_without_end_is_stopped() {
        let loops = [
            "{% for a in many %}{% for b in many %}{% for c in many %}{% endfor %}{% endfor %}{% endfor %}",
            "{% for a in many %}{% for b in many %}{% include 'inner' %}{% endfor %}{% endfor %}",
            "{% set x %}{% for a in many %}{% for b in many %}{% for c in many %}{% endfor %}{% endfor %}{% endfor %}{% endset %}",
            "{% for a in many %}{% for b in many %}{% set c = [d * d for d in many] %}{% endfor %}{% endfor %}",
            "{% for a in range(end=100000) %}{% for b in range(end=100000) %}{% if b < 0 %}x{% endif %}{% endfor %}{% endfor %}",
        ];
        for template in loops {
            let (result, stopped) = render(template, SHORT);
            assert!(result.is_err(), "{template}");
            assert_eq!(stopped, Some(Stopped::Time), "{template}");
        }
    }

    #[test]
    fn what_grows_without_end_is_stopped() {
        let grows = [
            "{% set_global s = 'ab' %}{% for a in many %}{% set_global s = s ~ s %}{% endfor %}",
            "{% set_global s = [1] %}{% for a in many %}{% set_global s = [s, s] %}{% endfor %}",
            "{% set_global s = 'ab' %}{% for a in many %}{% set s %}{{ s }}{{ s }}{% endset %}{% set_global s = s %}{% endfor %}",
        ];
        for template in grows {
            let (result, stopped) = render(template, Limit { time: TIME, ..SHORT });
            assert!(result.is_err(), "{template}");
            assert_eq!(stopped, Some(Stopped::Size), "{template}");
        }
    }

    #[test]
    fn steps_change_nothing_else() {
        let templates = [
            "a\n  {%- for x in [1, 2] -%}\n  {{ x }},\n {%- for y in [x] -%}  {{ y }} {% endfor -%}\n{%- endfor %}\nb",
            "{% for x in [1, 2] %} {{ x }} {% for y in [x] %} {{ y }} {% else %} none {% endfor %} {% endfor %}",
            "{% set a = 'x' %}{% set b %} {{ a }} {% endset %}[{{ b }}]",
            "{% for x in [1] %}{% set a = '%}' %}{{ a }}{% set b %}<{{ a }}>{% endset %}{{ b }}{% endfor %}",
            "{% raw %}{% for x in y %}{% endraw %}{# {% for x in y %} #}{{ '{% for x in y %}' }}{{ \"\\\"{% for\" }}",
            "{% filter upper %}{% for x in ['a', 'b'] %}{{ x }}{% endfor %}{% endfilter %}",
        ];
        for template in templates {
            let mut plain = Tera::default();
            plain.add_raw_template("t", template).unwrap();
            let expected = plain.render("t", &tera::Context::new()).unwrap();
            assert_eq!(render(template, SHORT).0.as_deref(), Ok(&*expected), "{}", guarded(template).text);
        }
    }

    #[test]
    fn columns_are_those_of_the_file() {
        let guarded = guarded("{% for x in y %}ä{% for z in x %}{{ nothing.at.all }}{% endfor %}{% endfor %}");
        let column = guarded.text.chars().position(|c| c == 'n').unwrap();
        assert!(column > 0);
        let at = guarded.text[..guarded.text.find("nothing").unwrap()].chars().count() + 1;
        assert_eq!(guarded.column(1, at), 37);
        assert_eq!((guarded.column(1, 1), guarded.column(2, 80)), (1, 80));
    }

    #[test]
    fn a_comprehension_within_a_list_is_refused() {
        let line = |template| unstoppable(template).map(|(line, _)| line);
        assert_eq!(line("a\n{% set b = [[x for x in y] for z in y] %}"), Some(2));
        assert_eq!(line("{{ [x | default(value=[y for y in z]) for x in z] }}"), Some(1));
        for fine in
            ["{% set b = [x for x in y if x] %}", "{{ ['[[a for b in c]]'] }}", "{% for x in [[1], [2]] %}", "[[ for "]
        {
            assert_eq!(line(fine), None, "{fine}");
        }
    }
}
