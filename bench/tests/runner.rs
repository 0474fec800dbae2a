//! Every variant of this process answers every packet of a drain rightly, and a window counts what arrives.

#[cfg(test)]
mod runner {
    use tollgate::shard::allowed_cores;
    use tollgate_bench::peer::PeerKind;
    use tollgate_bench::reflect::{self, Kind};
    use tollgate_bench::runner::{Load, RunPlan, Series, run};
    use tollgate_bench::serve::{self, CannedStages, ShardPlan, empty_policy};
    use tollgate_bench::variant::{Answers, Variant};
    use tollgate_bench::{own, work};

    const BUFFER: usize = 4 << 20;
    /// With an ACK each they fit into the receive buffer of a machine that grants no more than 208 KiB.
    const PACKETS: u64 = 40;

    fn variants() -> Vec<Box<dyn Variant>> {
        let core = allowed_cores()[0];
        let plan = |name, answers| ShardPlan {
            name,
            answers,
            core,
            receive_buffer_bytes: BUFFER,
            events: true,
        };
        let policy = || work::policy(0).unwrap();
        let mut all: Vec<Box<dyn Variant>> = Vec::new();
        for kind in [Kind::Mio, Kind::Batched, Kind::Segmented] {
            all.push(Box::new(reflect::start(kind, core, BUFFER).unwrap()));
        }
        let canned = plan("loop", Answers::Canned);
        let decided = plan("tollgate", Answers::Decided);
        all.push(Box::new(
            serve::start(canned, CannedStages::new(), empty_policy()).unwrap(),
        ));
        all.push(Box::new(
            serve::start(decided, work::uas().unwrap(), policy()).unwrap(),
        ));
        all.push(Box::new(
            own::start("own", core, BUFFER, work::uas().unwrap(), policy()).unwrap(),
        ));
        all
    }

    fn measure(load: Load, acks: bool) -> Vec<Series> {
        let plan = RunPlan {
            rounds: 2,
            octets: 966,
            seed: 7,
            acks,
            load,
        };
        let peers = [PeerKind::Plain, PeerKind::Joining];
        let all = run(&plan, &peers, &mut variants(), |_round, _peer| {}).unwrap();
        assert_eq!(all.len(), 12);
        assert!(all.iter().all(|series| series.samples.len() == 2));
        all
    }

    #[test]
    fn no_answer_of_a_drain_is_missing_or_wrong() {
        for acks in [false, true] {
            let load = Load::Drain {
                packets: PACKETS,
                fills: 2,
            };
            for series in measure(load, acks) {
                for sample in series.samples {
                    assert_eq!(sample.wrong, 0, "{}: {sample:?}", series.variant);
                    assert_eq!(sample.tally.answers(), 2 * PACKETS, "{}", series.variant);
                    assert_eq!(sample.dropped, 0, "{}", series.variant);
                    assert!(sample.cost.total_ns() > 0, "{}", series.variant);
                }
            }
        }
    }

    #[test]
    fn a_window_loses_nothing_but_what_the_kernel_dropped() {
        for segments in [false, true] {
            let load = Load::Window {
                nanoseconds: 5_000_000,
                segments,
            };
            for series in measure(load, false) {
                for sample in series.samples {
                    let accounted = sample.tally.answers() + sample.dropped;
                    assert_eq!(accounted, sample.sent, "{}: {sample:?}", series.variant);
                    assert!(sample.in_window <= sample.tally.answers());
                    assert_eq!(sample.tally.other, 0, "{}", series.variant);
                }
            }
        }
    }
}
