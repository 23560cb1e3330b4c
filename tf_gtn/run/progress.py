"""Progress of long work on stderr: a bar on a terminal, plain lines elsewhere."""

import sys
import time

import tqdm


class Progress:
    """Shows steps, their speed, the time left, and losses.

    On a terminal a bar; elsewhere lines such as `gtn 120/700 0.24 s/step eta 2:19 loss 0.53`: one every `every` seconds at
    most, and one at the last step. The speed is that since the line before, so that tracing in a first step weighs on one
    line only.
    """

    def __init__(self, total, initial=0, description="", every=10.0):
        """Shows `initial` of `total` steps as done."""
        self._total, self._description, self._every = total, description, every
        self._line_step, self._line_time, self._losses = initial, time.monotonic(), {}
        self._bar = None
        if sys.stderr.isatty():
            self._bar = tqdm.tqdm(total=total, initial=initial, desc=description, unit="step", dynamic_ncols=True)

    def update(self, step, **losses):
        """`step` steps are done; losses stay in view until there are new ones."""
        self._losses |= {name: f"{float(value):.4g}" for name, value in losses.items()}
        if self._bar is not None:
            self._bar.set_postfix(self._losses, refresh=False)
            self._bar.update(step - self._bar.n)
            return
        seconds = time.monotonic() - self._line_time
        if step > self._line_step and (seconds >= self._every or step == self._total):
            each = seconds / (step - self._line_step)
            eta = _clock(each * (self._total - step))
            losses = "".join(f" {name} {value}" for name, value in self._losses.items())
            self.write(f"{self._description} {step}/{self._total} {each:.2g} s/step eta {eta}{losses}".strip())
            self._line_step, self._line_time = step, time.monotonic()

    def write(self, line):
        """Prints a line, above the bar if there is one."""
        if self._bar is not None:
            self._bar.write(line, file=sys.stderr)
        else:
            print(line, file=sys.stderr, flush=True)

    def close(self):
        if self._bar is not None:
            self._bar.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _clock(seconds):
    """`2:19`, or `1:02:19` from an hour on."""
    hours, minutes, seconds = int(seconds) // 3600, int(seconds) // 60 % 60, int(seconds) % 60
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
