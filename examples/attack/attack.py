#!/usr/bin/env python3
"""Attacks a provisioning server as those do who look for SIP passwords, and tells what came of it, as JSON.

Only for servers of your own: it refuses to attack anything but this machine, unless --elsewhere is given. Nothing but
Python's standard library is needed.
"""

import argparse
import asyncio
import base64
import collections
import http.client
import ipaddress
import json
import secrets
import socket
import ssl
import sys
import time
import urllib.parse


def tls(options):
    """The client's side of TLS; the server may show any certificate. None for plain HTTP."""
    if options.url.scheme != "https":
        return None
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if options.certificate:
        context.load_cert_chain(options.certificate, options.key)
    return context


def connect(options):
    source = (options.source, 0) if options.source else None
    port = options.url.port or (443 if options.url.scheme == "https" else 80)
    if options.url.scheme == "https":
        return http.client.HTTPSConnection(
            options.url.hostname, port, timeout=60, source_address=source, context=tls(options)
        )
    return http.client.HTTPConnection(options.url.hostname, port, timeout=60, source_address=source)


def ask(options, path, headers=None):
    """Status, headers and body; each request over a connection of its own, as an attacker without patience does it."""
    connection = connect(options)
    try:
        connection.request("GET", path, headers=headers or {})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__, {}, b""
    finally:
        connection.close()


def told(answers, seconds, **more):
    """The figures of many requests."""
    statuses = collections.Counter(str(status) for status, _ in answers)
    times = sorted(taken for _, taken in answers)
    at = lambda part: round(times[min(len(times) - 1, int(len(times) * part))] * 1000, 1) if times else None
    return {
        "requests": len(answers),
        "seconds": round(seconds, 2),
        "per_second": round(len(answers) / seconds, 1) if seconds else None,
        "answers": dict(sorted(statuses.items())),
        "milliseconds": {"p50": at(0.5), "p99": at(0.99), "most": at(1)},
        **more,
    }


async def many(options, paths, headers=lambda: {}):
    """Asks for all paths, so many at a time; status and seconds of each."""
    places = asyncio.Semaphore(options.at_once)
    context = tls(options)
    port = options.url.port or (443 if context else 80)
    local = (options.source, 0) if options.source else None

    async def one(path):
        async with places:
            begin = time.monotonic()
            status = await one_answer(path)
            return status, time.monotonic() - begin

    async def one_answer(path):
        writer = None
        try:
            reader, writer = await asyncio.wait_for(
                asyncio.open_connection(options.url.hostname, port, ssl=context, local_addr=local), 60
            )
            lines = [f"GET {path} HTTP/1.1", f"Host: {options.url.hostname}", "Connection: close"]
            lines += [f"{name}: {value}" for name, value in headers().items()]
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
            head = await asyncio.wait_for(reader.read(), 60)
            return int(head.split(b" ", 2)[1]) if head.startswith(b"HTTP/1.") else "closed"
        except (OSError, asyncio.TimeoutError, ssl.SSLError, ValueError) as error:
            return type(error).__name__
        finally:
            if writer:
                writer.close()

    begin = time.monotonic()
    answers = await asyncio.gather(*(one(path) for path in paths))
    return answers, time.monotonic() - begin


def scan(options):
    """Asks for the profiles of many MACs of one maker, one after the other."""
    first = int(options.oui + "000000", 16)
    macs = [f"{first + number:012x}" for number in range(options.number)]
    answers, seconds = asyncio.run(many(options, [options.path.replace("{mac}", mac) for mac in macs]))
    got = [mac for mac, (status, _) in zip(macs, answers) if status == 200]
    return told(answers, seconds, profiles=got)


def guess(options):
    """Guesses one phone's password."""
    path = options.path.replace("{mac}", options.mac)

    def headers():
        guessed = base64.b64encode(f"{options.mac}:{secrets.token_hex(4)}".encode()).decode()
        return {"Authorization": f"Basic {guessed}"}

    answers, seconds = asyncio.run(many(options, [path] * options.number, headers))
    return told(answers, seconds, profiles=[options.mac for status, _ in answers if status == 200])


def replay(options):
    """Uses what one phone may have for another: its certificate, and the ETag of its profile."""
    own, other = (options.path.replace("{mac}", mac) for mac in (options.mac, options.other))
    status, headers, _ = ask(options, own)
    result = {"own": status}
    etag = next((value for name, value in headers.items() if name.lower() == "etag"), '"none"')
    result["others_by_its_certificate"] = ask(options, other)[0]
    result["others_by_its_etag"] = ask(options, other, {"If-None-Match": etag})[0]
    result["others_by_any_etag"] = ask(options, other, {"If-None-Match": "*"})[0]
    options.certificate = None
    result["own_without_certificate"] = ask(options, own)[0]
    result["own_by_its_etag_alone"] = ask(options, own, {"If-None-Match": etag})[0]
    unknown = options.path.replace("{mac}", "000e08fffffe")
    kept = lambda answer: (answer[0], sorted(set(answer[1]) - {"date", "Date"}), answer[2])
    result["known_and_unknown_look_alike"] = kept(ask(options, own)) == kept(ask(options, unknown))
    return result


def storm(options):
    """Comes with all requests at once."""
    options.at_once = options.number
    answers, seconds = asyncio.run(many(options, [options.path.replace("{mac}", options.mac)] * options.number))
    return told(answers, seconds)


def silence(options):
    """Opens connections and says nothing, then asks once as an honest phone would."""
    port = options.url.port or (443 if options.url.scheme == "https" else 80)
    opened = []
    for _ in range(options.number):
        try:
            source = (options.source, 0) if options.source else None
            opened.append(socket.create_connection((options.url.hostname, port), timeout=5, source_address=source))
        except OSError:
            break
    options.source = options.phone
    begin = time.monotonic()
    status, _, _ = ask(options, options.path.replace("{mac}", options.mac))
    result = {"silent": len(opened), "phone": status, "milliseconds": round((time.monotonic() - begin) * 1000, 1)}
    for connection in opened:
        connection.close()
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = {"scan": scan, "guess": guess, "replay": replay, "storm": storm, "silence": silence}
    parser.add_argument("attack", choices=commands)
    parser.add_argument("url", type=urllib.parse.urlsplit, help="http://127.0.0.1:8080 or https://127.0.0.1:8443")
    parser.add_argument("--path", default="/cisco/{mac}.xml", help="of a profile; {mac} is put in (default: %(default)s)")
    parser.add_argument("--number", type=int, default=1000, help="of requests (default: %(default)s)")
    parser.add_argument("--at-once", type=int, default=50, help="connections (default: %(default)s)")
    parser.add_argument("--oui", default="000e08", help="scan: the first half of the MACs (default: %(default)s)")
    parser.add_argument("--mac", default="000e08abcdef", help="the phone (default: %(default)s)")
    parser.add_argument("--other", default="649ef3788e6a", help="replay: another phone (default: %(default)s)")
    parser.add_argument("--source", help="the address to come from; this machine has all of 127.0.0.0/8")
    parser.add_argument("--phone", default="127.0.0.1", help="silence: where the honest phone comes from")
    parser.add_argument("--certificate", help="a client certificate (PEM)")
    parser.add_argument("--key", help="its key")
    parser.add_argument("--elsewhere", action="store_true", help="attack another machine: one of your own")
    options = parser.parse_args()
    address = ipaddress.ip_address(socket.getaddrinfo(options.url.hostname, None)[0][4][0])
    if not address.is_loopback and not options.elsewhere:
        sys.exit(f"{address} is not this machine; add --elsewhere if it is one of your own")
    json.dump(commands[options.attack](options), sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
