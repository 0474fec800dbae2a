//! What systemd is told (`sd_notify`(3)): ready, reloading, stopping, alive. Without systemd nothing happens.

use sd_notify::NotifyState;
use std::time::Duration;

/// The node serves. Also what ends a reload.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// A reload has begun. `Type=notify-reload` wants the time of it, so that no older READY is taken for its end.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_no_clock) => tell(&[NotifyState::Reloading]),
    }
}

/// The node goes away.
pub(super) fn stopping(status: &str) {
    tell(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// The node is alive.
pub(super) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often systemd wants to hear that the node is alive: twice as often as it would give up; `None`: never.
pub(super) fn alive_every() -> Option<Duration> {
    let mut limit_us = 0;
    sd_notify::watchdog_enabled(false, &mut limit_us)
        .then(|| Duration::from_micros(limit_us / 2).max(Duration::from_millis(1)))
}

fn tell(states: &[NotifyState<'_>]) {
    // Nobody listens, or the socket is gone: the calls are answered all the same.
    let _told = sd_notify::notify(false, states);
}
