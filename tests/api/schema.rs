//! Schemathesis asks the API everything that its document allows, and much that it doesn't.

use std::path::PathBuf;
use std::process::Command;

use super::OURS;
use crate::support::api::Client;
use crate::support::deployment::Deployment;
use crate::support::{program, root, run};

/// The program, where `.ci/run` installs it, or in the path.
fn schemathesis() -> Option<Command> {
    let installed: PathBuf = root().join("target/schemathesis/bin/schemathesis");
    if installed.is_file() { Some(Command::new(installed)) } else { program("schemathesis") }
}

#[test]
fn the_api_is_as_its_document_says() {
    let Some(mut schemathesis) = schemathesis() else { return };
    let deployment = Deployment::example();
    deployment.append_config("\n[limits]\nrequests_per_connection = 100000\n");
    let running = deployment.start();
    let client = Client::of(&running, "secrets", None);
    assert_eq!(client.get(&format!("/api/v1/devices/{OURS}")).status, 200);
    let token = client.token.as_ref().unwrap();
    let output = run(schemathesis
        .args(["--config-file", root().join("tests/schemas/schemathesis.toml").to_str().unwrap()])
        .args(["run", "--seed", "1", "--generation-database", "none", "--no-color"])
        .args(["--max-examples", "25", "--workers", "2"])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--url", &format!("http://{}", client.address)])
        .arg(format!("http://{}/api/v1/openapi.json", client.address))
        .current_dir(running.deployment.path("")));
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(!told.contains(token.as_str()), "the token is shown");
    // Whatever it was asked, the server is there still.
    assert_eq!(client.get("/api/v1/health").status, 200);
}
