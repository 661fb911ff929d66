//! A written site, read back by a parser that forgives nothing: pages are well-formed XML as well as HTML.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use roxmltree::{Document, Node, ParsingOptions};

/// Every file of a site, by its path in it.
pub struct Site {
    files: BTreeMap<String, String>,
}

/// Elements whose content a browser fetches, runs, or sends somewhere.
const ACTIVE: [&str; 11] =
    ["script", "iframe", "frame", "object", "embed", "form", "img", "svg", "audio", "video", "base"];

/// Elements that HTML allows no paragraph, list or table in: a browser would end them early.
const PHRASING: [&str; 9] = ["p", "h1", "h2", "h3", "pre", "summary", "span", "code", "small"];
const BLOCKS: [&str; 14] =
    ["p", "div", "dl", "ul", "ol", "table", "section", "article", "pre", "details", "h1", "h2", "h3", "nav"];

impl Site {
    pub fn read(folder: &Path) -> Self {
        let mut files = BTreeMap::new();
        for entry in walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap) {
            if entry.file_type().is_file() {
                let path = entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                files.insert(path, fs::read_to_string(entry.path()).unwrap());
            }
        }
        Self { files }
    }

    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// A file as it is written.
    pub fn page(&self, path: &str) -> &str {
        self.files.get(path).unwrap_or_else(|| panic!("there is no {path} in {:?}", self.files.keys()))
    }

    /// What a reader sees of a page.
    pub fn text(&self, path: &str) -> String {
        let document = parse(path, self.page(path));
        document.descendants().filter_map(|node| node.is_text().then(|| node.text()).flatten()).collect()
    }

    /// Checks what holds of every site.
    pub fn check(&self) {
        let mut ids: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        let mut links: Vec<(&str, String)> = Vec::new();
        for (path, text) in self.files().filter(|(path, _)| path.ends_with(".html")) {
            let document = parse(path, text);
            let own = ids.entry(path).or_default();
            for node in document.descendants().filter(Node::is_element) {
                element(path, &node);
                if let Some(id) = node.attribute("id") {
                    assert!(own.insert(id.to_owned()), "{path} has two of {id}");
                }
                links.extend(
                    ["href", "src"].into_iter().filter_map(|name| Some((path, node.attribute(name)?.to_owned()))),
                );
            }
            page(path, &document);
        }
        assert!(ids.contains_key("index.html"));
        let mut reached: BTreeSet<&str> = BTreeSet::from(["index.html"]);
        for (from, link) in &links {
            assert!(!link.contains(':') && !link.starts_with('/'), "{from} links {link}, which is outside");
            let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
            let target = resolved(from, path);
            let (target, _) =
                self.files.get_key_value(&target).unwrap_or_else(|| panic!("{from} links {link}, which is not there"));
            let known = fragment.is_empty() || ids[target.as_str()].contains(fragment);
            assert!(known, "{from} links {link}, which {target} has no place of");
            reached.insert(target);
        }
        let lost: Vec<_> = self.paths().filter(|path| path.ends_with(".html") && !reached.contains(path)).collect();
        assert!(lost.is_empty(), "nothing links {lost:?}");
        let style = self.page("style.css");
        assert!(!style.contains("url(") && !style.contains("@import"));
    }
}

fn parse<'t>(path: &str, text: &'t str) -> Document<'t> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn element(path: &str, node: &Node<'_, '_>) {
    let name = node.tag_name().name();
    assert!(!ACTIVE.contains(&name), "{path} holds a {name}");
    for attribute in node.attributes() {
        let own = attribute.name();
        assert!(!own.starts_with("on") && own != "style", "{path} has {own} at {name}");
    }
    let parent = node.ancestors().skip(1).find(|node| PHRASING.contains(&node.tag_name().name()));
    if let Some(parent) = parent.filter(|_| BLOCKS.contains(&name)) {
        panic!("{path} has a {name} in a {}", parent.tag_name().name());
    }
    let needs_label = matches!(name, "nav" | "section" | "article");
    let is_labelled = node.has_attribute("aria-label") || node.has_attribute("aria-labelledby");
    assert!(
        !needs_label || is_labelled || node.attribute("class") == Some("entry"),
        "{path}: a {name} without a label"
    );
    if name == "th" {
        assert!(node.has_attribute("scope"), "{path}: a th without its scope");
    }
    // Written out, so that HTML reads it as XML does: only these are empty in both.
    let is_void = matches!(name, "meta" | "link" | "br");
    assert!(
        is_void || node.has_children() || !node.document().input_text()[node.range()].ends_with("/>"),
        "{path}: {name}"
    );
}

fn page(path: &str, document: &Document<'_>) {
    let named = |name: &'static str| document.descendants().filter(move |node| node.has_tag_name(name));
    assert_eq!(document.root_element().attribute("lang"), Some("en"), "{path}");
    let titles: Vec<_> = named("title").filter_map(|node| node.text()).collect();
    assert!(titles.len() == 1 && titles[0].ends_with("resyncd preview"), "{path}: {titles:?}");
    let mut level = 0;
    for heading in document.descendants().filter(Node::is_element) {
        let name = heading.tag_name().name();
        if let Some(own) = name.strip_prefix('h').and_then(|digit| digit.parse::<u32>().ok()) {
            assert!(own <= level + 1, "{path}: {name} after h{level}");
            level = own;
        }
    }
    assert_eq!(named("h1").count(), 1, "{path}");
    let policies: Vec<_> = named("meta")
        .filter(|node| node.attribute("http-equiv") == Some("Content-Security-Policy"))
        .filter_map(|node| node.attribute("content"))
        .collect();
    let strict = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'";
    assert_eq!(policies, [strict], "{path}");
    assert!(named("meta").any(|node| node.attribute("name") == Some("viewport")), "{path}");
}

/// The path that a relative link of a page means.
fn resolved(from: &str, link: &str) -> String {
    if link.is_empty() {
        return from.to_owned();
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        if part == ".." {
            assert!(parts.pop().is_some(), "{from} links {link}, which leaves the site");
        } else {
            parts.push(part);
        }
    }
    parts.join("/")
}
