//! The site in a real browser: that the policy lets its own style in, that no page is wider than a phone, and that nothing
//! of a hostile value runs.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use crate::support::{program, root, run};

use super::{crowded, site::Site, written};

/// Chromium without a window, that asks nothing of the network, with a profile of its own. None where it isn't installed.
fn chromium(profile: &Path) -> Option<Command> {
    let mut chromium = program("chromium")?;
    chromium.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
    chromium.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    // In a container /dev/shm is small.
    chromium.args(["--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND"]);
    chromium.arg(format!("--user-data-dir={}", profile.display()));
    Some(chromium)
}

/// A page that looks at others in frames as wide as a phone, and writes what it sees: the policy of a page forbids scripts
/// in it, not that someone looks.
fn looking_glass(site: &Site, pages: &[String], widths: &[u32]) -> String {
    let mut frames = String::new();
    for page in pages {
        for width in widths {
            let _ = write!(frames, "<iframe src=\"site/{page}\" width=\"{width}\" height=\"800\"></iframe>");
        }
    }
    assert!(pages.iter().all(|page| site.paths().any(|path| path == page)));
    format!(
        "<!DOCTYPE html><body><pre id=\"seen\"></pre>{frames}<script>
        addEventListener('load', () => {{
          let seen = '';
          for (const frame of document.querySelectorAll('iframe')) {{
            const page = frame.contentDocument, root = page.documentElement, view = frame.contentWindow;
            const wide = () => root.scrollWidth - root.clientWidth;
            const closed = wide();
            for (const one of page.querySelectorAll('details')) one.open = true;
            const active = page.querySelectorAll('script, img, iframe, object, embed, form').length;
            const styled = view.getComputedStyle(page.body).overflowWrap;
            seen += [frame.getAttribute('src'), frame.width, closed, wide(), active, styled, root.clientWidth].join(' ') + '\\n';
          }}
          document.getElementById('seen').textContent = seen;
        }});
        </script></body>"
    )
}

#[test]
fn no_page_is_wider_than_a_phone_and_only_the_style_is_let_in() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut chromium) = chromium(&folder.path().join("profile")) else { return };
    let deployment = crowded(30);
    let out = folder.path().join("site");
    let base = deployment.path("");
    // A page of each kind: real devices of every family, and a hostile one.
    let own = written(&deployment.path("resyncd.toml"), &out, &["--base", base.to_str().unwrap(), "--all"]);
    let mut pages: Vec<String> = Vec::new();
    let kinds = ["index.html", "findings/", "changes/", "devices/", "groups/", "group/", "model/", "public/"];
    for kind in kinds {
        pages.extend(
            own.paths().filter(|path| path.starts_with(kind) && path.ends_with(".html")).take(3).map(str::to_owned),
        );
    }
    pages.push("device/01/000000000001.html".to_owned());
    look(&mut chromium, folder.path(), &own, &pages);
}

#[test]
fn the_profiles_of_every_family_fit_a_phone() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut chromium) = chromium(&folder.path().join("profile")) else { return };
    let site = written(&root().join("resyncd.toml"), &folder.path().join("site"), &[]);
    let pages: Vec<String> = site.paths().filter(|path| path.starts_with("device/")).map(str::to_owned).collect();
    assert!(pages.len() >= 5);
    look(&mut chromium, folder.path(), &site, &pages);
}

fn look(chromium: &mut Command, folder: &Path, site: &Site, pages: &[String]) {
    let widths = [320, 390, 1280];
    let glass = folder.join("glass.html");
    std::fs::write(&glass, looking_glass(site, pages, &widths)).unwrap();
    // The page that looks may read files beside it; the pages themselves run nothing.
    chromium.args(["--allow-file-access-from-files", "--dump-dom"]).arg(format!("file://{}", glass.display()));
    let output = run(chromium);
    let dom = String::from_utf8_lossy(&output.stdout);
    let seen = dom.split_once("<pre id=\"seen\">").and_then(|(_, rest)| rest.split_once("</pre>"));
    let (seen, _) = seen.unwrap_or_else(|| panic!("{dom}\n{}", String::from_utf8_lossy(&output.stderr)));
    let lines: Vec<Vec<&str>> = seen.trim().lines().map(|line| line.split(' ').collect()).collect();
    assert_eq!(lines.len(), pages.len() * widths.len(), "{seen}");
    for line in lines {
        let [page, width, closed, open, active, styled, inner] = line[..] else { panic!("{line:?}") };
        assert!(closed == "0" && open == "0", "{page} is {closed} or {open} pixels wider than {width}");
        assert_eq!(active, "0", "{page}");
        assert_eq!(styled, "anywhere", "{page} has not got its style");
        assert!(inner.parse::<u32>().unwrap() <= width.parse().unwrap());
    }
}
