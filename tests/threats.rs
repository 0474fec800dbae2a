//! Threats that stand at a door of the node each: forged sources (T1, T4, T14), the admin port (T10), a bundle cut short (T18).
//!
//! Promises: seeded, so that every run sends the same. `TOLLGATE_SOURCES` is how many sources are forged (50,000),
//! `TOLLGATE_CUTS` every how many octets a file of the bundle is cut (29).
//! Leaves to `uas/mutated.rs` and `hostile.rs`: what is sent from there.

#[cfg(test)]
#[expect(
    clippy::allow_attributes,
    reason = "each test uses its own part of what is shared, so no one set of expectations fits"
)]
#[allow(dead_code, reason = "each test uses its own part of what is shared")]
mod common;
#[cfg(test)]
#[path = "common/mutate.rs"]
mod mutate;

#[cfg(test)]
mod threats {
    use super::common::rows;
    use super::common::server::{Server, node_toml, scratch, write_files};
    use super::mutate::{Dice, mutate};
    use std::env;
    use std::fs;
    use std::io::{Read as _, Write as _};
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
    use std::time::Duration;
    use tollgate::control::{self, SAMPLE_BUNDLE, SAMPLE_CONFIG, Source};
    use tollgate::limits::RESPONSE_BYTES_MAX;
    use tollgate::uas::{Admission, Packet, Slot, TransactionMemory, Uas};

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
    fn of_any_number_of_forged_sources_only_peers_are_answered() {
        // T1, T4, T14
        let policy = rows::snapshot(&rows::approving());
        let memory = std::sync::Arc::new(TransactionMemory::new(64, [9; 16]));
        let uas = Uas::new([7; 16]).with_memory(memory);
        let (mut slot, mut dice) = (Slot::new(), Dice::new(1));
        let mut answered = 0;
        for _ in 0..setting("TOLLGATE_SOURCES", 50_000) {
            let address = forged(&mut dice);
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
        }
        assert!(answered > 0, "no peer among them");
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
        // T18
        let folder = sample("cut");
        write_files(&folder, &[("tollgate.toml", SAMPLE_CONFIG)]);
        let source = Source::File(folder.join("tollgate.toml"));
        let generation = control::load(&source).unwrap().rows.generation;
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
            }
            fs::write(&file, text).unwrap();
        }
        assert!(
            refused > 10 && taken > 0,
            "{refused} refused, {taken} taken"
        );
        assert_eq!(control::load(&source).unwrap().rows.generation, generation);
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
        // T10
        let folder = sample("admin");
        write_files(&folder, &[("tollgate.toml", &node_toml(&folder))]);
        let server = Server::start(&folder);
        let ready = || {
            String::from_utf8(ask(
                server.admin,
                b"GET /readyz HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
            ))
            .unwrap()
        };
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
