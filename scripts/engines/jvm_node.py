"""Starts Elasticsearch or OpenSearch as one node on this machine, from the jars of Maven Central.

    python scripts/engines/jvm_node.py elasticsearch --port 9210
    python scripts/engines/jvm_node.py opensearch --port 9220

No package registry has the distributions themselves, so a few lines of Java start the node (ElasticsearchNode.java,
OpenSearchNode.java). The program needs Maven and a JDK of 21 or newer (JAVA_HOME, or one in /usr/lib/jvm). All files
are under ~/.cache/light-splade-engines. The data of earlier runs is deleted.
"""

import argparse
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path.home() / ".cache" / "light-splade-engines"
# Each entry is a module, the profile of its jars in pom.xml, and its class.
MODULES = [
    ("transport-netty4", "elasticsearch-http", "org.elasticsearch.transport.netty4.Netty4Plugin"),
    ("x-pack-core", "elasticsearch-queries", "org.elasticsearch.xpack.core.XPackClientPlugin"),
]


def jdk():
    """Returns the home of a JDK of 21 or newer."""
    homes = [os.environ["JAVA_HOME"]] if "JAVA_HOME" in os.environ else []
    homes += sorted(map(str, pathlib.Path("/usr/lib/jvm").glob("*")), reverse=True)
    for home in homes:
        release = pathlib.Path(home) / "release"
        version = release.is_file() and re.search(r'JAVA_VERSION="(\d+)', release.read_text())
        if version and int(version[1]) >= 21 and (pathlib.Path(home) / "bin" / "javac").is_file():
            return home
    raise RuntimeError("no JDK of 21 or newer; set JAVA_HOME")


def jars(profile):
    """Returns the folder with the jars of a profile of pom.xml, which are downloaded once."""
    folder = CACHE / "jars" / profile
    if not folder.is_dir():
        aside = folder.with_suffix(".part")
        shutil.rmtree(aside, ignore_errors=True)
        subprocess.run(
            ["mvn", "-q", "-B", "-f", HERE / "pom.xml", "-P", profile, "dependency:copy-dependencies",
             f"-DoutputDirectory={aside}", "-DincludeScope=runtime"],
            check=True, stdout=sys.stderr,
        )
        aside.rename(folder)
    return folder


def version(profile):
    """Returns the version of a profile's server."""
    name = profile.split("-")[0]
    return re.search(f"<{name}>(.*)</{name}>", (HERE / "pom.xml").read_text())[1]


def add_modules(home, server):
    """Writes the modules of Elasticsearch as in a distribution: a folder, a descriptor and the module's own jars."""
    for name, profile, main in MODULES:
        module = home / "modules" / name
        module.mkdir(parents=True)
        for jar in jars(profile).glob("*.jar"):
            if not (server / jar.name).is_file():
                (module / jar.name).symlink_to(jar)
        (module / "plugin-descriptor.properties").write_text(
            f"name={name}\ndescription={name}\nversion={version(profile)}\n"
            f"elasticsearch.version={version(profile)}\njava.version=21\nclassname={main}\n"
        )


def check_free(port):
    """Raises RuntimeError if the port is in use, because another server would answer in place of the node."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise RuntimeError(f"port {port} cannot be used: {error}") from error


def start(engine, port):
    """Starts a node and returns its process once it answers. Raises RuntimeError if it does not answer."""
    check_free(port)
    home = CACHE / f"{engine}-{port}"
    shutil.rmtree(home, ignore_errors=True)
    for folder in ("config", "modules", "plugins", "data", "logs", "tmp"):
        (home / folder).mkdir(parents=True)
    if engine == "elasticsearch":
        server, main = jars("elasticsearch-server"), "ElasticsearchNode"
        (home / "modules").rmdir()
        add_modules(home, server)
    else:
        server, main = jars("opensearch"), "OpenSearchNode"
    java = jdk()
    classes = home / "classes"
    subprocess.run(
        [f"{java}/bin/javac", "-nowarn", "-cp", f"{server}/*", "-d", classes, HERE / f"{main}.java"], check=True
    )
    log = (home / "logs" / "node.log").open("w")
    node = subprocess.Popen(
        [f"{java}/bin/java", "-Xms512m", "-Xmx512m", f"-Djava.io.tmpdir={home}/tmp", "--enable-native-access=ALL-UNNAMED",
         "-cp", f"{classes}{os.pathsep}{server}/*", main, str(home), str(port)],
        stdout=log, stderr=log,
    )
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_cluster/health", timeout=2).read()
            return node
        except OSError:
            if node.poll() is not None:
                break
            time.sleep(0.5)
    node.kill()
    node.wait()
    raise RuntimeError(f"{engine} did not start; see {log.name}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("engine", choices=["elasticsearch", "opensearch"])
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    try:
        process = start(arguments.engine, arguments.port)
    except RuntimeError as problem:
        sys.exit(str(problem))
    print(f"{arguments.engine} {version(arguments.engine)} at http://127.0.0.1:{arguments.port}", flush=True)
    try:
        process.wait()
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
