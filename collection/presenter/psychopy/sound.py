"""Which device plays the clips' sound."""

from __future__ import annotations

import contextlib
import io
import logging
import os
from typing import Any

logger = logging.getLogger(__name__)

#: SDL, which plays the sound of clips, is silenced by this variable; tests and Xvfb do.
_DRIVER_VARIABLE = "SDL_AUDIODRIVER"
SILENCED = "silenced (SDL_AUDIODRIVER=dummy)"


def find_sound_device(psychopy: Any) -> str:
    """Return the name of the device that sound goes to, or an empty string if this machine has none.

    PsychoPy asks PortAudio, which sees the devices that SDL plays to. That a device is
    there does not mean that its loudspeaker is switched on: nothing but an ear tells that.
    """
    if os.environ.get(_DRIVER_VARIABLE) == "dummy":
        return SILENCED
    try:
        # The Psychtoolbox prints its manual if there is no device.
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            speaker = psychopy.hardware.speaker
            devices = speaker.SpeakerDevice.getAvailableDevices()
    except Exception as error:  # noqa: BLE001 (PTB raises plain Exception where there is no sound card)
        logger.info("no sound device: %s", error)
        return ""
    names = [str(device.get("deviceName", "")) for device in devices]
    return next((name for name in names if name), "")
