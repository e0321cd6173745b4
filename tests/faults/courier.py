"""What a process does that can be killed: it builds digests, or delivers."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from library.runtime import start
from library.settings import Settings
from library.vocabulary import Channel
from notifier.alerting import make_alerts
from notifier.carriers import channels_for
from notifier.channels.email import EmailChannel, Timeouts, parse_server
from notifier.delivery import deliver_due


@dataclass(frozen=True)
class Asked:
    """What a courier is asked for."""

    task: str
    """Either "build" or "deliver"."""
    at: datetime
    name: str
    lease: float | None = None
    """Seconds, where a quarter of an hour is too long."""
    patience: float | None = None
    """Seconds to wait for a silent server, where minutes are too long."""


def work(asked: Asked, settings: Mapping[str, str]) -> None:
    """Build digests or deliver what is due at a moment, then end.

    Args:
        asked: What to do.
        settings: An installation's, as a process finds them in its environment.
    """
    own = start(Settings.from_env(settings))
    if asked.task == "build":
        make_alerts(own.sessions, own.settings, at=asked.at)
        return
    if asked.lease:
        _shorten_the_lease(timedelta(seconds=asked.lease))
    channels = channels_for(own.settings)
    if asked.patience:
        channels = {
            **channels,
            Channel.EMAIL: EmailChannel(
                parse_server(own.settings.smtp_url),
                timeouts=Timeouts(*[asked.patience] * 3),
            ),
        }
    deliver_due(
        own.sessions,
        own.settings,
        at=asked.at,
        worker=f"{asked.name}-{os.getpid()}",
        channels=channels,
    )


def _shorten_the_lease(lease: timedelta) -> None:
    """Set it wherever a module has its name."""
    for name, module in list(sys.modules.items()):
        if name.startswith("notifier."):
            for constant, value in (("LEASE", lease), ("CONVERSATION", lease / 2)):
                if hasattr(module, constant):
                    setattr(module, constant, value)
