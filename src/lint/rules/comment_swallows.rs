use crate::lint::rule::rule;
use crate::lint::{About, DeviceView, FileView, Finding, Findings, Profile, Rule};
use crate::packs::{Format, Source};
use crate::phone::aastra;

rule! {
    /// A comment in a rendered file takes parameters, or part of a value, with it.
    ///
    /// # What the phone does
    ///
    /// It passes over what is in a comment, without a word.
    ///
    /// # How to mend it
    ///
    /// In XML, end the comment before the parameters; a template's own comments are `{# … #}`, which no phone sees.
    /// In files of Aastra and Mitel phones everything behind a `#` is a comment unless the value is in double quotes,
    /// as the shipped template has it; a value with both a `#` and quotes of its own is refused.
    pub struct CommentSwallows = "comment-swallows", Error;
}

impl Rule for CommentSwallows {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn device(&self, view: &DeviceView<'_>, findings: &mut Findings) {
        for (file, profile) in view.profiles() {
            match file.entry.format {
                Format::Xml => xml(view, file, profile, findings),
                Format::ColonLines => lines(view, file, profile, findings),
                _ => {}
            }
        }
    }
}

/// Comments with elements in them. They come from the template: values are escaped.
fn xml(view: &DeviceView<'_>, file: &FileView<'_>, profile: &Profile, findings: &mut Findings) {
    let Ok(text) = std::str::from_utf8(&profile.body) else { return };
    for (at, _) in text.match_indices("<!--") {
        let comment = text.get(at + 4..).and_then(|rest| rest.split("-->").next()).unwrap_or_default();
        let Some(name) = swallowed(comment) else { continue };
        let line = text.get(..at).unwrap_or_default().matches('\n').count() + 1;
        let finding = Finding::new(format!("a comment holds the parameter {name}"));
        let finding = finding.rendered(&file.path, u32::try_from(line).ok()).key(name);
        let Source::Template { template, .. } = &file.entry.source else { continue };
        let Some(template) = view.pack.templates.iter().find(|one| one.name == *template) else { continue };
        let line = template.text.lines().position(|line| line.contains("<!--"));
        let line = line.and_then(|line| u32::try_from(line + 1).ok());
        findings.report(Finding { line, ..finding.in_file(template.file.as_path()) });
    }
}

/// The name of the first whole element in a comment.
fn swallowed(comment: &str) -> Option<&str> {
    comment.split('<').skip(1).find_map(|tag| {
        let name = tag.split(|c: char| !(c.is_ascii_alphanumeric() || "_-.".contains(c))).next()?;
        (!name.is_empty() && comment.contains(&format!("</{name}>"))).then_some(name)
    })
}

/// Values that the phone reads otherwise than they were made.
fn lines(view: &DeviceView<'_>, file: &FileView<'_>, profile: &Profile, findings: &mut Findings) {
    let has_sign = |parameter: &crate::render::Parameter| parameter.value.contains('#') || parameter.name.contains('#');
    if !profile.made.iter().any(has_sign) {
        return;
    }
    let Ok(read) = aastra::read(&profile.body, true) else { return };
    for parameter in profile.parameters(view.pack) {
        let Some(made) = parameter.made.filter(|made| has_sign(made)) else { continue };
        let as_read = read.parameters.get(&parameter.name.to_lowercase()).map(|read| read.value.as_str());
        if as_read != Some(made.value.as_str()) {
            let message = format!("{}: what follows the # is a comment to the phone", parameter.name);
            findings.report(view.at_parameter(message, file, &parameter));
        }
    }
}
