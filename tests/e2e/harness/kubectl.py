"""kubectl, and an API server that knows just what it asks for: discovery, a list of pods, a watch that streams."""
import json
import os
import shutil
import ssl
import subprocess
import threading

from .http_server import HttpServer, response

POD = {"kind": "Pod", "apiVersion": "v1", "spec": {"containers": [{"name": "c", "image": "i"}]}, "status": {"phase": "Running"}}


def pod(name, version):
    return {**POD, "metadata": {"name": name, "namespace": "default", "uid": f"u-{name}", "resourceVersion": str(version),
                                "creationTimestamp": "2026-01-01T00:00:00Z"}}


def as_json(data, status=200):
    return response(status, json.dumps(data), [("Content-Type", "application/json")])


class ApiServer(HttpServer):
    """Client certificates are required, as a cluster's administrator has one. `events` are sent on each watch, one at a time,
    when told to."""

    def __init__(self, authority, *names):
        self.users = []
        self.watching = threading.Semaphore(0)
        self.go = threading.Event()
        self.chunks = 0
        context = authority.leaf(*names, "127.0.0.1", "localhost").server_context(client_ca=authority.cert)
        context.verify_mode = ssl.CERT_OPTIONAL  # strangers may ask whether it is ready
        super().__init__(self.reply, tls=context)

    def reply(self, request):
        path, _, query = request.target.partition("?")
        if path == "/readyz":
            return response(200, "ok")
        certificate = request.conn.sock.getpeercert()
        if not certificate:
            return as_json({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 401, "reason": "Unauthorized"}, 401)
        self.users.append(dict(pair[0] for pair in certificate["subject"])["commonName"])
        if path == "/api":
            return as_json({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
        if path == "/apis":
            return as_json({"kind": "APIGroupList", "apiVersion": "v1", "groups": []})
        if path == "/api/v1":
            return as_json({"kind": "APIResourceList", "groupVersion": "v1", "resources": [
                {"name": "pods", "singularName": "pod", "namespaced": True, "kind": "Pod", "verbs": ["get", "list", "watch"], "shortNames": ["po"]}]})
        if path == "/api/v1/namespaces/default/pods":
            return self.watch(request) if "watch=" in query else as_json(
                {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "10"}, "items": [pod("first", 5)]})
        return as_json({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404, "reason": "NotFound"}, 404)

    def watch(self, request):
        conn = request.conn
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        self.watching.release()
        self.go.wait(300)
        line = json.dumps({"type": "ADDED", "object": pod("second", 11)}).encode() + b"\n"
        conn.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(line), line))
        return b""


class Kubectl:
    """kubectl with a configuration of its own: `server` as it would be written there."""

    def __init__(self, folder, server, authority, user, tls_server_name=None):
        self.file = os.path.join(folder, f"kubeconfig-{abs(hash(server))}")
        cluster = {"server": server, "certificate-authority": authority.cert}
        if tls_server_name:
            cluster["tls-server-name"] = tls_server_name
        with open(self.file, "w") as f:
            json.dump({"apiVersion": "v1", "kind": "Config", "current-context": "c",
                       "clusters": [{"name": "c", "cluster": cluster}],
                       "users": [{"name": "u", "user": {"client-certificate": user.cert, "client-key": user.key}}],
                       "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "default"}}]}, f)
        self.environment = {**os.environ, "KUBECONFIG": self.file, "HOME": folder}

    def start(self, *args):
        return subprocess.Popen([shutil.which("kubectl"), *args], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True)

    def run(self, *args):
        process = self.start(*args)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        return out
