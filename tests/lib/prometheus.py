# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus that scrapes one evlogd every second, with the alert rules of packaging."""
import json
import pathlib
import shutil
import socket
import subprocess
import urllib.parse
import urllib.request

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "packaging" / "prometheus"


def installed():
    return shutil.which("prometheus") is not None and shutil.which("promtool") is not None


class Prometheus:
    """Runs from start() to stop(). folder: for its configuration and its data; scrape: more lines of its one job."""

    def __init__(self, folder, http, scrape=""):
        self.folder = folder
        config = (FOLDER / "prometheus.yml").read_text(encoding="utf-8")
        config = config.replace("    static_configs:", scrape + "    static_configs:")
        (folder / "prometheus.yml").write_text(config.replace("127.0.0.1:8080", http).replace("15s", "1s"),
                                               encoding="utf-8")
        shutil.copy(FOLDER / "evlog.rules.yml", folder)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        self.process = None

    def start(self):
        config = self.folder / "prometheus.yml"
        subprocess.run(["promtool", "check", "config", str(config)], check=True, capture_output=True)
        with open(self.folder / "log", "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(["prometheus", f"--config.file={config}",
                                             f"--web.listen-address={self.address}",
                                             f"--storage.tsdb.path={self.folder / 'tsdb'}"], stdout=log, stderr=log)
        return self

    def stop(self):
        self.process.terminate()
        self.process.wait(60)

    def ask(self, path, **query):
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            return json.load(answer)["data"]

    def value(self, expression):
        """Samples of an expression; none while it does not answer yet."""
        try:
            return self.ask("query", query=expression)["result"]
        except OSError:
            return []

    def alerts(self, name):
        try:
            return [alert for alert in self.ask("alerts")["alerts"] if alert["labels"]["alertname"] == name]
        except OSError:
            return []
