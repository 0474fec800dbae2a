//! Threats that stand at a door of the node each: forged sources and scanners (T1, T4, T14), the admin port, a bundle cut
//! short.
//!
//! Promises: seeded, so that every run sends the same. `TOLLGATE_SOURCES` is how many sources are forged (50,000),
//! `TOLLGATE_CUTS` every how many octets a file of the bundle is cut (29; ten times as many while a node serves it).
//! Leaves to `uas/mutated.rs` and `hostile.rs`: what is sent from there.

#![expect(unsafe_code, reason = "a counting allocator is an allocator")]

#[cfg(test)]
#[expect(
    clippy::allow_attributes,
    reason = "each test uses its own part of what is shared, so no one set of expectations fits"
)]
#[allow(dead_code, reason = "each test uses its own part of what is shared")]
mod common;
#[cfg(test)]
#[path = "common/counting_allocator.rs"]
#[expect(dead_code, reason = "frees are watched by another test")]
mod counting_allocator;
#[cfg(test)]
#[path = "common/mutate.rs"]
mod mutate;

#[cfg(test)]
mod threats {
    use super::common::rows;
    use super::common::server::{Server, node_toml, scratch, write_files};
    use super::counting_allocator::{Counting, allocations};
    use super::mutate::{Dice, mutate};
    use std::env;
    use std::fs;
    use std::io::{ErrorKind, Read as _, Write as _};
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
    use std::time::Duration;
    use tollgate::control::{self, SAMPLE_BUNDLE, SAMPLE_CONFIG, Source};
    use tollgate::limits::RESPONSE_BYTES_MAX;
    use tollgate::metrics::ShardMetrics;
    use tollgate::uas::{Admission, Packet, Slot, TransactionMemory, Uas};

    #[global_allocator]
    static ALLOCATOR: Counting = Counting;

    const INVITE: &[u8] = include_bytes!("data/captures/chan_sip-m1-escaped-invite.sip");

    fn setting(name: &str, default: usize) -> usize {
        env::var(name).map_or(default, |text| text.parse().expect("a number"))
    }

    /// An address of any kind.
    fn forged(dice: &mut Dice) -> IpAddr {
        let mut word = || u32::try_from(dice.below(1 << 32)).unwrap();
        let v4 = Ipv4Addr::from_bits(word());
        match word() % 4 {
            0 => v4.to_ipv6_mapped().into(),
            1 => Ipv6Addr::from_bits(u128::from(word()) << 96 | u128::from(word())).into(),
            _ => v4.into(),
        }
    }

    #[test]
    fn of_any_number_of_forged_sources_only_peers_are_answered_and_none_is_remembered() {
        // T1, T4, T14: what knows of strangers is as large afterwards as before, and still names the loudest one.
        let policy = rows::snapshot(&rows::approving());
        let memory = std::sync::Arc::new(
            TransactionMemory::new(64, [9; 16]).expect("there is address space"),
        );
        let uas = Uas::new([7; 16]).with_memory(memory);
        let (mut slot, mut dice) = (Slot::new(), Dice::new(1));
        let mut answered = 0;
        let metrics = ShardMetrics::new();
        let loud: IpAddr = "203.0.113.9".parse().unwrap();
        let known = || metrics.strangers.entries().count();
        let before = allocations();
        let sources = setting("TOLLGATE_SOURCES", 50_000);
        for turn in 0..sources {
            let address = if turn % 10 == 0 {
                loud
            } else {
                forged(&mut dice)
            };
            let packet = Packet {
                bytes: INVITE,
                full_length: INVITE.len(),
                source: SocketAddr::new(address, 5060),
            };
            let mut out = [0xAA; RESPONSE_BYTES_MAX];
            let reply = uas.answer(&policy, &packet, rows::at_ms(0), &mut slot, &mut out);
            let is_peer = match address.to_canonical() {
                IpAddr::V4(v4) => v4.is_loopback(),
                IpAddr::V6(v6) => v6.is_loopback(),
            };
            assert_eq!(reply.is_some(), is_peer, "{address}");
            assert_eq!(slot.admission() == Admission::UnknownSource, !is_peer);
            assert!(is_peer || out.iter().all(|octet| *octet == 0xAA));
            answered += usize::from(is_peer);
            if !is_peer {
                metrics.count_stranger(address);
            }
        }
        assert_eq!(allocations(), before);
        assert!(answered > 0, "no peer among them");
        assert!(known() <= 64, "{} of {sources} remembered", known());
        let found = metrics.strangers.entries().find(|(of, _)| *of == loud);
        let datagrams = found.map_or(0, |(_, datagrams)| datagrams);
        assert!(datagrams * 10 >= sources as u64, "{datagrams}");
    }

    /// What svmap, svwar and svcrack send (`SIPVicious`), and what port scanners do.
    fn scans() -> Vec<Vec<u8>> {
        let request = |method: &str, user: &str, more: &str| {
            format!(
                "{method} sip:{user}@127.0.0.1 SIP/2.0\r\n\
                 Via: SIP/2.0/UDP 127.0.0.66:5060;branch=z9hG4bK-{user};rport\r\n\
                 From: \"sipvicious\"<sip:{user}@1.1.1.1>;tag=64623063653366\r\n\
                 To: \"sipvicious\"<sip:{user}@1.1.1.1>\r\nCall-ID: 7712{user}\r\nCSeq: 1 {method}\r\n\
                 Contact: sip:{user}@127.0.0.66:5060\r\nMax-Forwards: 70\r\nUser-Agent: friendly-scanner\r\n\
                 {more}Content-Length: 0\r\n\r\n"
            )
            .into_bytes()
        };
        let credentials = "Authorization: Digest username=\"100\",realm=\"asterisk\",nonce=\"1a2b\",uri=\"sip:127.0.0.1\",response=\"0123456789abcdef0123456789abcdef\",algorithm=MD5\r\n";
        let mut scans = vec![request("OPTIONS", "100", "")];
        for extension in 100..140 {
            for method in ["REGISTER", "INVITE", "OPTIONS"] {
                scans.push(request(method, &extension.to_string(), ""));
            }
        }
        scans.extend((0..20).map(|_try| request("REGISTER", "100", credentials)));
        scans.extend([
            b"OPTIONS sip:nm SIP/2.0\r\nVia: SIP/2.0/UDP nm;branch=foo;rport\r\nFrom: <sip:nm@nm>;tag=root\r\nTo: <sip:nm2@nm2>\r\nCall-ID: 50000\r\nCSeq: 42 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\nContact: <sip:nm@nm>\r\nAccept: application/sdp\r\n\r\n".to_vec(),
            Vec::new(),
            b"\r\n\r\n".to_vec(),
            b"\0".to_vec(),
            b"SIP/2.0 200 OK\r\n\r\n".to_vec(),
            vec![b'A'; 60_000],
        ]);
        scans
    }

    #[test]
    fn scanners_hear_not_one_octet_and_are_named_to_the_operator() {
        let folder = sample("scanners");
        let domains = SAMPLE_BUNDLE[0].1.replace("127.0.0.0/8", "127.0.0.1/32");
        write_files(
            &folder,
            &[
                ("tollgate.toml", &node_toml(&folder)),
                ("bundle/domains.toml", &domains),
            ],
        );
        let server = Server::start(&folder);
        let scanner = UdpSocket::bind("127.0.0.66:0").unwrap();
        scanner.connect(server.udp).unwrap();
        let scans = scans();
        for (turn, scan) in scans.iter().enumerate() {
            // Connected: that the port is open shows in nothing, not even in an ICMP error.
            assert_eq!(scanner.send(scan).unwrap(), scan.len());
            // The shard takes datagrams in their order: when a peer is answered, the ones before it are done with.
            if turn % 16 == 0 || turn + 1 == scans.len() {
                call(server.udp, turn, "011442071838750");
            }
        }
        scanner.set_nonblocking(true).unwrap();
        let heard = scanner.recv(&mut [0; 2048]);
        assert_eq!(heard.unwrap_err().kind(), ErrorKind::WouldBlock);
        let listed = get(server.admin, "/v1/unknown-sources");
        let (_, body) = listed.split_once("\r\n\r\n").unwrap();
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        let row = serde_json::json!({ "address": "127.0.0.66", "datagrams": scans.len() });
        assert_eq!(body["sources"], serde_json::json!([row]));
        assert!(server.stop().status.success());
    }

    /// The status that a call of a peer to this number gets.
    fn call(to: SocketAddr, call: usize, number: &str) -> u16 {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let from = peer.local_addr().unwrap();
        let text = format!(
            "INVITE sip:{number}@gw.example SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{call}\r\n\
             From: <sip:4100@pbx.example>;tag=f{call}\r\nTo: <sip:{number}@gw.example>\r\n\
             Call-ID: {call}\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        );
        peer.send_to(text.as_bytes(), to).unwrap();
        let mut heard = [0; 2048];
        let length = peer.recv(&mut heard).unwrap();
        let text = String::from_utf8_lossy(&heard[..length]).into_owned();
        text.split(' ').nth(1).unwrap().parse().unwrap()
    }

    fn sample(name: &str) -> std::path::PathBuf {
        let folder = scratch(name);
        for (path, text) in SAMPLE_BUNDLE {
            write_files(&folder, &[(&format!("bundle/{path}"), text)]);
        }
        folder
    }

    #[test]
    fn a_file_cut_anywhere_is_refused_with_sentences_or_is_whole() {
        let folder = sample("cut");
        write_files(&folder, &[("tollgate.toml", SAMPLE_CONFIG)]);
        let source = Source::File(folder.join("tollgate.toml"));
        let loaded = control::load(&source).unwrap();
        let generation = loaded.rows.generation.clone();
        let bundles = loaded.bundles();
        let kept = || {
            bundles
                .read_kept()
                .unwrap()
                .map(|kept| kept.rows.generation)
        };
        fs::create_dir_all(&loaded.node.state_dir).unwrap();
        bundles.keep(&generation).unwrap();
        let step = setting("TOLLGATE_CUTS", 29);
        let (mut refused, mut taken) = (0, 0);
        for (path, text) in SAMPLE_BUNDLE {
            let file = folder.join("bundle").join(path);
            for length in (0..text.len()).step_by(step) {
                fs::write(&file, &text.as_bytes()[..length]).unwrap();
                match control::load(&source) {
                    Ok(loaded) => {
                        // Nobody can take it for the bundle that it was cut from.
                        assert_ne!(loaded.rows.generation, generation, "{path} {length}");
                        taken += 1;
                    }
                    Err(faults) => {
                        assert!(
                            faults.to_string().contains(path),
                            "{path} {length}: {faults}"
                        );
                        refused += 1;
                    }
                }
                // A start finds the bundle that was good.
                if length % (step * 10) == 0 {
                    assert_eq!(kept().as_ref(), Some(&generation), "{path} {length}");
                }
            }
            fs::write(&file, text).unwrap();
        }
        assert!(
            refused > 10 && taken > 0,
            "{refused} refused, {taken} taken"
        );
        assert_eq!(control::load(&source).unwrap().rows.generation, generation);
    }

    #[test]
    fn a_node_whose_bundle_is_cut_anywhere_goes_on_with_the_one_in_force() {
        let folder = sample("cut-live");
        write_files(&folder, &[("tollgate.toml", &node_toml(&folder))]);
        let mut server = Server::start(&folder);
        let generation = |admin| {
            let metrics = get(admin, "/metrics");
            let info = |line: &&str| line.starts_with("tollgate_bundle_generation_info{");
            metrics.lines().find(info).map(str::to_owned)
        };
        let mut in_force = generation(server.admin);
        assert!(in_force.is_some());
        let step = setting("TOLLGATE_CUTS", 29) * 10;
        let (mut calls, mut refused) = (0, 0);
        for (path, text) in SAMPLE_BUNDLE {
            let file = folder.join("bundle").join(path);
            for length in (0..text.len()).step_by(step) {
                fs::write(&file, &text.as_bytes()[..length]).unwrap();
                server.signal("HUP");
                let said = server.wait_for("tollgate: reload");
                let now = generation(server.admin);
                if said.contains("reload refused") {
                    assert_eq!(now, in_force, "{path} {length}");
                    refused += 1;
                } else {
                    // Whole by itself, and named as another bundle.
                    assert_ne!(now, in_force, "{path} {length}: {said}");
                }
                in_force = now;
                // The domain is always one that was whole: its peers are heard.
                calls += 1;
                let status = call(server.udp, calls, "011442071838750");
                assert!(matches!(status, 302 | 603), "{path} {length}: {status}");
            }
            fs::write(&file, text).unwrap();
            server.signal("HUP");
            server.wait_for("tollgate: reloaded in");
            in_force = generation(server.admin);
        }
        assert!(refused > 5, "{refused} of {calls}");
        assert_eq!(call(server.udp, calls + 1, "011442071838750"), 302);
        assert!(server.stop().status.success());
    }

    /// What the admin port answers to this question. Nothing is shut down meanwhile: a client that hangs up may hear nothing.
    fn get(admin: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(admin).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut heard = String::new();
        stream.read_to_string(&mut heard).unwrap();
        heard
    }

    /// What comes back for these octets, and whether the port hung up by itself within the time.
    fn ask(admin: SocketAddr, octets: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(admin).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        // It may have heard enough before we have said all.
        let _said = stream.write_all(octets);
        let _end = stream.shutdown(std::net::Shutdown::Write);
        let mut heard = Vec::new();
        let _reset = stream.read_to_end(&mut heard);
        heard
    }

    #[test]
    fn nothing_that_is_sent_to_the_admin_port_without_a_token_changes_anything_or_ends_it() {
        let folder = sample("admin");
        write_files(&folder, &[("tollgate.toml", &node_toml(&folder))]);
        let server = Server::start(&folder);
        let ready = || get(server.admin, "/readyz");
        assert!(ready().starts_with("HTTP/1.1 200 "));
        let requests: [&[u8]; 6] = [
            b"GET /metrics HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
            b"POST /v1/drain HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            b"POST /v1/reload HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
            b"DELETE /v1/holds HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            b"GET /v1/status?a=%00%0d%0a HTTP/1.0\r\nAuthorization: Basic eDp4\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ];
        let mut dice = Dice::new(5);
        let mut statuses = std::collections::BTreeMap::new();
        for turn in 0..300 {
            let octets = mutate(
                requests[turn % requests.len()],
                requests[0],
                &mut dice,
                2_000,
            );
            let heard = ask(server.admin, &octets);
            let status = heard.strip_prefix(b"HTTP/1.").and_then(|rest| {
                std::str::from_utf8(rest.get(2..5)?)
                    .ok()?
                    .parse::<u16>()
                    .ok()
            });
            *statuses.entry(status).or_insert(0) += 1;
            // 200 for what everybody may read; nothing else is granted, and nothing is the server's fault.
            assert!(
                status.is_none_or(|status| status == 200 || (400..500).contains(&status)),
                "{status:?}: {octets:?}"
            );
            if octets.starts_with(b"POST ") {
                assert_ne!(status, Some(200), "{octets:?}");
            }
        }
        assert!(statuses.len() > 2, "{statuses:?}");
        assert!(ready().starts_with("HTTP/1.1 200 "), "it drains or is gone");
        let stopped = server.stop();
        assert!(
            stopped.status.success() && !stopped.stderr.contains("panick"),
            "{}",
            stopped.stderr
        );
    }
}
