//! A real HAProxy and a real nginx in front of the server.

use std::process::{Child, Stdio};

use resyncd::config::ProxyProtocol;

use super::proxies::{base64_of, behind, proxy};
use super::*;
use crate::support::database::free_port;
use crate::support::run;

/// A program that runs in front of the server.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where the phone has its address in these tests; the proxies are 127.0.0.1.
const PHONE: &str = "127.0.0.3";

/// Asks by curl from the phone's address, again and again until the proxy has started.
fn curl(site: &Site, port: u16, phone: Option<&Pair>, more: &[&str]) -> Option<String> {
    let authority = site.server_ca.write_certificate(site.path(), "server-ca");
    let mut arguments = vec!["--cacert".to_owned(), authority.to_str().unwrap().to_owned()];
    if let Some(phone) = phone {
        let pair = phone.write(site.path(), "shown");
        arguments.extend(["--cert".to_owned(), pair.certificate.to_str().unwrap().to_owned()]);
        arguments.extend(["--key".to_owned(), pair.key.to_str().unwrap().to_owned()]);
    }
    let retry = ["--retry", "30", "--retry-connrefused", "--retry-delay", "1", "--max-time", "60"];
    let output = run(program("curl")?
        .args(["--silent", "--show-error", "--noproxy", "*", "--interface", PHONE])
        .args(retry)
        .args(&arguments)
        .args(more)
        .args(["--resolve", &format!("proxy.example.com:{port}:127.0.0.1")])
        .arg(format!("https://proxy.example.com:{port}/")));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    Some(said)
}

fn for_proxies(policy: ClientCertificatePolicy) -> Site {
    let mut site = Site::new(policy);
    let leaf = Leaf { names: &["proxy.example.com"], ..server_leaf(&[("CN", "proxy.example.com")]) };
    site.tls.certificate = site.server_ca.sign(&leaf).write(site.path(), "server");
    site
}

#[test]
fn haproxy_passes_tls_on_with_the_phones_address() {
    let site = for_proxies(ClientCertificatePolicy::Required);
    let server = behind(proxy(ProxyProtocol::Proxy, "127.0.0.1/32", None), Some(site.acceptor()), limits());
    for option in ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl"] {
        let Some(mut haproxy) = program("haproxy") else { return };
        let port = free_port();
        let config = site.path().join("haproxy.cfg");
        let text = format!(
            "defaults\n mode tcp\n timeout connect 30s\n timeout client 30s\n timeout server 30s\n\
             listen phones\n bind 127.0.0.1:{port}\n server node {} {option}\n",
            server.address
        );
        std::fs::write(&config, text).unwrap();
        let haproxy = haproxy.args(["-db", "-f"]).arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
        let _running = Running(haproxy.spawn().unwrap());
        let Some(said) = curl(&site, port, Some(&site.phone(|_| {})), &[]) else { return };
        assert_eq!(said, format!("{PHONE} TLSv1.3 {VERIFIED}"), "{option}");
    }
}

#[test]
fn haproxy_forwards_certificates() {
    let site = for_proxies(ClientCertificatePolicy::Optional);
    let trusting = proxy(ProxyProtocol::XForwardedFor, "127.0.0.1/32", Some("x-client-certificate"));
    let server = behind(trusting, Some(site.acceptor()), limits());
    let Some(mut haproxy) = program("haproxy") else { return };
    let port = free_port();
    let file = |name: &str| site.path().join(name);
    let both = [&site.tls.certificate.certificate, &site.tls.certificate.key].map(|file| std::fs::read(file).unwrap());
    std::fs::write(file("proxy.pem"), both.concat()).unwrap();
    let text = format!(
        "defaults\n mode http\n timeout connect 30s\n timeout client 30s\n timeout server 30s\n\
         listen phones\n bind 127.0.0.1:{port} ssl crt {} ca-file {} verify optional\n\
         http-request del-header X-Forwarded-For\n option forwardfor\n\
         http-request set-header X-Client-Certificate %[ssl_c_der,base64]\n\
         server node {} ssl verify required ca-file {}\n",
        file("proxy.pem").display(),
        site.tls.client_ca[0].display(),
        server.address,
        site.server_ca.write_certificate(site.path(), "server-ca").display()
    );
    std::fs::write(file("haproxy.cfg"), text).unwrap();
    let haproxy = haproxy.args(["-db", "-f"]).arg(file("haproxy.cfg")).stdout(Stdio::null()).stderr(Stdio::null());
    let _running = Running(haproxy.spawn().unwrap());
    let good = site.phone(|_| {});
    let Some(said) = curl(&site, port, Some(&good), &["--header", "X-Forwarded-For: 198.51.100.1"]) else { return };
    assert_eq!(said, format!("{PHONE} TLSv1.3 {VERIFIED}"));
    // A phone can't bring somebody else's.
    let forged = format!("X-Client-Certificate: {}", base64_of(&good));
    assert_eq!(curl(&site, port, None, &["--header", &forged]).unwrap(), format!("{PHONE} TLSv1.3 none"));
}

#[test]
fn nginx_forwards_addresses_and_certificates() {
    let site = for_proxies(ClientCertificatePolicy::Optional);
    for (protocol, headers) in [
        (ProxyProtocol::XForwardedFor, "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"),
        (ProxyProtocol::Forwarded, "proxy_set_header Forwarded \"for=$remote_addr;proto=https\";"),
    ] {
        let trusting = proxy(protocol, "127.0.0.1/32", Some("x-client-certificate"));
        let server = behind(trusting, Some(site.acceptor()), limits());
        let Some(mut nginx) = program("nginx") else { return };
        let port = free_port();
        let file = |name: &str| site.path().join(name).display().to_string();
        let text = format!(
            "pid {};\nevents {{}}\nhttp {{\naccess_log off;\nclient_body_temp_path {};\nproxy_temp_path {};\n\
             fastcgi_temp_path {};\nuwsgi_temp_path {};\nscgi_temp_path {};\n\
             server {{\nlisten 127.0.0.1:{port} ssl;\nssl_certificate {};\nssl_certificate_key {};\n\
             ssl_client_certificate {};\nssl_verify_client optional;\n\
             location / {{\nproxy_pass https://{};\nproxy_ssl_protocols TLSv1.3;\n{headers}\n\
             proxy_set_header X-Client-Certificate $ssl_client_escaped_cert;\n}}\n}}\n}}\n",
            file("pid"),
            file("t1"),
            file("t2"),
            file("t3"),
            file("t4"),
            file("t5"),
            site.tls.certificate.certificate.display(),
            site.tls.certificate.key.display(),
            site.tls.client_ca[0].display(),
            server.address
        );
        std::fs::write(site.path().join("nginx.conf"), text).unwrap();
        let nginx = nginx.args(["-e", "stderr", "-g", "daemon off; master_process off;", "-c"]);
        let nginx = nginx.arg(file("nginx.conf")).stdout(Stdio::null()).stderr(Stdio::null());
        let _running = Running(nginx.spawn().unwrap());
        let good = site.phone(|_| {});
        let forged = ["--header", "X-Forwarded-For: 198.51.100.1", "--header", "Forwarded: for=198.51.100.1"];
        let Some(said) = curl(&site, port, Some(&good), &forged) else { return };
        assert_eq!(said, format!("{PHONE} TLSv1.3 {VERIFIED}"));
        let forged = format!("X-Client-Certificate: {}", base64_of(&good));
        assert_eq!(curl(&site, port, None, &["--header", &forged]).unwrap(), format!("{PHONE} TLSv1.3 none"));
    }
}
