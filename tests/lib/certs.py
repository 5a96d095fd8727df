# SPDX-License-Identifier: Apache-2.0
"""Certificates for tests, made by openssl in a folder of the test."""
import subprocess


def openssl(*args, **kwargs):
    return subprocess.run(["openssl", *args], capture_output=True, text=True, timeout=60, check=True, **kwargs).stdout


class Certs:
    """A CA called ca, and what is asked for: NAME.pem and NAME.key."""

    def __init__(self, folder):
        self.folder = folder
        self.authority("ca")

    def pem(self, name):
        return str(self.folder / f"{name}.pem")

    def key(self, name):
        return str(self.folder / f"{name}.key")

    def authority(self, name):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                "-subj", f"/CN={name}", "-keyout", self.key(name), "-out", self.pem(name))

    def issue(self, name, subject=None, names="DNS:localhost,IP:127.0.0.1", ca="ca", rsa=None, days=30, signs=False):
        """signs: it is an authority itself."""
        request, extra = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        kind = [f"rsa:{rsa}"] if rsa else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        openssl("req", "-newkey", *kind, "-nodes", "-subj", subject or f"/CN={name}", "-out", str(request),
                "-keyout", self.key(name) + ".new")
        extra.write_text("basicConstraints=critical,CA:TRUE\n" if signs else f"subjectAltName={names}\n",
                         encoding="ascii")
        openssl("x509", "-req", "-in", str(request), "-CA", self.pem(ca), "-CAkey", self.key(ca), "-CAcreateserial",
                "-days", str(days), "-extfile", str(extra), "-out", self.pem(name) + ".new")
        for path in (self.key(name), self.pem(name)):
            (self.folder / (path + ".new")).rename(path)
        return self

    def server_flags(self, name="server"):
        return ["--ssl-certificate-file", self.pem(name), "--ssl-key-file", self.key(name)]

    def client(self, name=None):
        """Settings of librdkafka's kind."""
        own = {"ssl.certificate.location": self.pem(name), "ssl.key.location": self.key(name)} if name else {}
        return {"security.protocol": "ssl", "ssl.ca.location": self.pem("ca"), **own}
