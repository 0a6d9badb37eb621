"""Pods that run to an end: exit codes, restart policies, init containers, environment, volumes, identity, refusals."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from kubernetes import client, config

from tests.include.standin.node.site import NAMESPACE, Site, layer, stub, wait

DUMP = "import json, os, sys; print(json.dumps({'env': dict(os.environ), 'argv': sys.argv[1:], 'cwd': os.getcwd()}))"


@pytest.mark.parametrize(("code", "phase", "reason"), [(0, "Succeeded", "Completed"), (3, "Failed", "Error")])
def test_exit_code(site: Site, code: int, phase: str, reason: str) -> None:
    site.script(f"exit-{code}", f"print('last words'); raise SystemExit({code})")
    site.phase(f"exit-{code}", phase)
    ended = site.state(f"exit-{code}").state.terminated
    assert (ended.exit_code, ended.reason) == (code, reason)
    assert site.log(f"exit-{code}") == "last words\n"


def test_what_runs_has_a_log(site: Site) -> None:
    """As soon as a pod says that it runs, as on a real node: whoever follows its log then is not told that it is being created."""

    def follow(name: str) -> str:
        site.script(name, "import time; print('begun', flush=True); time.sleep(1); print('ended')")
        site.phase(name, "Running")
        return site.log(name, follow=True)

    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(follow, [f"logged-{n}" for n in range(12)])] == ["begun\nended\n"] * 12


def test_killed_by_a_signal_and_unknown_program(site: Site) -> None:
    site.script("by-signal", "import os; os.kill(os.getpid(), 9)")
    site.pod("no-program", site.tiny, command=["/no/such/program"])
    site.phase("by-signal", "Failed")
    site.phase("no-program", "Failed")
    assert site.state("by-signal").state.terminated.exit_code == 137
    assert site.state("no-program").state.terminated.exit_code == 127
    assert "cannot start /no/such/program" in site.log("no-program")


def test_on_failure_restarts_until_it_succeeds(site: Site) -> None:
    again = (
        "import os, pathlib; p = pathlib.Path(os.environ['MARK']); n = len(p.read_text()) if p.exists() else 0; "
        "p.write_text('x' * (n + 1)); print('try', n); raise SystemExit(n < 2)"
    )
    volume = {"volumes": [{"name": "work", "emptyDir": {}}], "restartPolicy": "OnFailure"}
    mount = [{"name": "work", "mountPath": "/work"}]
    site.script("again", again, spec=volume, env=[{"name": "MARK", "value": "/work/mark"}], volumeMounts=mount)
    site.phase("again", "Succeeded")
    assert site.state("again").restart_count == 2
    assert site.state("again").last_state.terminated.exit_code == 1
    assert site.log("again") == "try 2\n"
    assert site.log("again", previous=True) == "try 1\n"
    assert "BackOff" in [reason for reason, _ in site.events("again")]


def test_environment(site: Site) -> None:
    site.core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": "plain"}, "data": {"COLOUR": "red", "SIZE": "2"}})
    site.secret("hidden", {"KEY": "s3cret=="})
    env = [
        {"name": "ONE", "valueFrom": {"configMapKeyRef": {"name": "plain", "key": "SIZE"}}},
        {"name": "TWO", "valueFrom": {"secretKeyRef": {"name": "hidden", "key": "KEY"}}},
        {"name": "SPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
        {"name": "ADDRESS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "MAYBE", "valueFrom": {"secretKeyRef": {"name": "nothing", "key": "KEY", "optional": True}}},
        {"name": "BOTH", "value": "$(COLOUR)/$(SIZE)/$$(SIZE)/$(UNKNOWN)"},
        {"name": "MODEL", "value": "/model/model.txt"},
    ]
    from_all = [{"configMapRef": {"name": "plain"}}, {"secretRef": {"name": "hidden"}, "prefix": "P_"}]
    site.pod(
        "environment",
        site.tiny,
        command=["python", "-c", DUMP],
        args=["$(ONE)", "--model=/model/model.txt", "/none"],
        env=env,
        envFrom=from_all,
    )
    pod = site.phase("environment", "Succeeded")
    said = json.loads(site.log("environment"))
    found = said["env"]
    assert {name: found[name] for name in ("ONE", "TWO", "SPACE", "BOTH", "COLOUR", "P_KEY")} == {
        "ONE": "2",
        "TWO": "s3cret==",
        "SPACE": NAMESPACE,
        "BOTH": "red/2/$(SIZE)/$(UNKNOWN)",
        "COLOUR": "red",
        "P_KEY": "s3cret==",
    }
    assert found["ADDRESS"] == found["HOST"] == pod.status.pod_ip
    assert found["HOSTNAME"] == "environment"
    assert found["EDGELOOP_HOME"] == str(site.home.path)
    assert Path(found["MODEL"]).read_text() == "tiny"
    assert said["argv"] == ["2", f"--model={found['MODEL']}", "/none"]
    assert Path(said["cwd"], "model", "model.txt").exists()
    allowed = {"PATH", "HOST", "HOSTNAME", "EDGELOOP_HOME", "EDGELOOP_ATTEMPT", "KUBECONFIG", "MODEL_DIR", "LC_CTYPE", "PWD", "SHLVL", "_"}
    assert set(found) <= allowed | {"ONE", "TWO", "SPACE", "ADDRESS", "BOTH", "MODEL", "COLOUR", "SIZE", "P_KEY"}


def test_volumes(site: Site) -> None:
    site.core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": "files"}, "data": {"a.txt": "A", "b.txt": "B"}})
    site.secret("keys", {"key.pem": "PEM"})
    volumes = [
        {"name": "shared", "emptyDir": {}},
        {"name": "conf", "configMap": {"name": "files", "items": [{"key": "a.txt", "path": "deep/a"}]}},
        {"name": "keys", "secret": {"secretName": "keys"}},
        {"name": "host", "hostPath": {"path": str(site.home.path / "on-host"), "type": "DirectoryOrCreate"}},
        {"name": "down", "downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
    ]
    mounts = [{"name": volume["name"], "mountPath": f"/mnt/{volume['name']}"} for volume in volumes]
    first = {
        "name": "first",
        "image": site.tiny,
        "command": ["python", "-c", "open('/mnt/shared/x', 'w').write('from init')"],
        "volumeMounts": mounts,
    }
    names = ["/mnt/shared/x", "/mnt/conf/deep/a", "/mnt/keys/key.pem", "/mnt/down/name"]
    text = f"for name in {names}: print(open(name).read())\nopen('/mnt/host/y', 'w').write('out')"
    site.script("volumes", text, spec={"volumes": volumes, "initContainers": [first]}, volumeMounts=mounts)
    site.phase("volumes", "Succeeded", "Failed")
    assert site.log("volumes") == "from init\nA\nPEM\nvolumes\n"
    assert (site.home.path / "on-host" / "y").read_text() == "out"


def test_mount_over_the_home_leaves_what_the_agent_gives(site: Site) -> None:
    """A volume at /tmp must not catch the kubeconfig of a home that lies there."""
    above = site.home.path.parent
    text = "import json, os; open(os.environ['KUBECONFIG']).close(); print(json.dumps(dict(os.environ)))"
    site.script(
        "mounted-over",
        text,
        spec={"volumes": [{"name": "over", "emptyDir": {}}]},
        volumeMounts=[{"name": "over", "mountPath": str(above)}],
        env=[{"name": "MINE", "value": f"{above}/mine"}],
    )
    pod = site.phase("mounted-over", "Succeeded", "Failed")
    found = json.loads(site.log("mounted-over"))
    assert (found["EDGELOOP_HOME"], found["HOST"]) == (str(site.home.path), pod.status.pod_ip)
    assert found["MINE"].startswith(str(site.home.path / "node-north" / "pods"))


def test_init_container_that_fails_ends_the_pod(site: Site) -> None:
    first = {"name": "first", "image": site.tiny, "command": ["python", "-c", "raise SystemExit(4)"]}
    site.script("init-fails", "print('never')", spec={"initContainers": [first]})
    pod = site.phase("init-fails", "Failed")
    assert pod.status.init_container_statuses[0].state.terminated.exit_code == 4
    assert pod.status.container_statuses[0].state.waiting is not None


def test_identity_is_the_service_account_and_no_more(site: Site) -> None:
    site.core.create_namespaced_service_account(NAMESPACE, {"metadata": {"name": "reader"}})
    rbac = client.RbacAuthorizationV1Api(site.api)
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]
    rbac.create_namespaced_role(NAMESPACE, {"metadata": {"name": "reader"}, "rules": rules})
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": NAMESPACE}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    rbac.create_namespaced_role_binding(NAMESPACE, {"metadata": {"name": "reader"}, "roleRef": reference, "subjects": [subject]})
    site.pod("identity", site.tiny, spec={"serviceAccountName": "reader"})
    pod = site.phase("identity", "Running")
    path = wait("the pod", lambda: site.ask(pod.status.pod_ip))["env"]["KUBECONFIG"]
    core = client.CoreV1Api(config.new_client_from_config(path))
    assert core.list_namespaced_config_map(NAMESPACE).items is not None
    for refused in (lambda: core.list_namespaced_secret(NAMESPACE), lambda: core.list_namespaced_config_map("default")):
        with pytest.raises(client.ApiException) as error:
            refused()
        assert error.value.status == 403
    assert config.list_kube_config_contexts(path)[1]["context"]["namespace"] == NAMESPACE
    site.delete("identity")
    site.gone("identity")


@pytest.mark.parametrize(
    ("name", "more", "text"),
    [
        ("no-map", {"envFrom": [{"configMapRef": {"name": "absent"}}]}, 'configmap "absent" not found'),
        ("no-secret", {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "absent", "key": "k"}}}]}, 'secret "absent" not found'),
    ],
)
def test_missing_configuration_waits_for_it(site: Site, name: str, more: dict[str, object], text: str) -> None:
    site.script(name, "import os; print(os.environ.get('A', 'none'))", **more)
    waiting = wait("the refusal", lambda: (w := site.state(name).state.waiting) and w.reason == "CreateContainerConfigError" and w)
    assert text in waiting.message
    if name == "no-secret":
        site.secret("absent", {"k": "now"})
        site.phase(name, "Succeeded")
        assert site.log(name) == "now\n"
    site.delete(name)
    site.gone(name)


def refused(site: Site, name: str, image: str, **more: object) -> str:
    """The message of ErrImagePull, which must also be an event."""
    site.pod(name, image, **more)
    waiting = wait("the refusal", lambda: (w := site.state(name).state.waiting) and w.reason in ("ErrImagePull", "ImagePullBackOff") and w)
    wait("the back-off", lambda: site.state(name).state.waiting.reason == "ImagePullBackOff")
    wait("the event", lambda: any(reason == "Failed" and "ErrImagePull" in message for reason, message in site.events(name)))
    site.delete(name)
    site.gone(name)
    return str(waiting.message)


def test_images_that_are_refused(site: Site) -> None:
    absent = site.tiny.partition("@")[0] + "@sha256:" + "0" * 64
    assert "not found" in refused(site, "absent-digest", absent)
    assert "no imagePullSecret names this registry" in refused(
        site, "no-login", site.push.image([stub(), layer({"x": b"login"})]), spec={"imagePullSecrets": []}
    )
    other = site.push.image([stub(python="2.7.18", packages={"pytest": "0.1", "no-such-package": "1"}), layer({"x": b"1"})])
    message = refused(site, "other-runtime", other)
    assert "Python 2.7.18 there" in message
    assert "pytest 0.1 there" in message
    assert "no-such-package 1 there, not installed here" in message
    assert "has no label edgeloop.runtime" in refused(site, "no-label", site.push.image([stub()], runtime=None))
    assert "cannot be reached" in refused(site, "no-registry", "127.0.0.1:1/a/b@sha256:" + "1" * 64)


def test_tag_and_whiteout(site: Site) -> None:
    layers = [stub(), layer({"app/a": b"1", "app/b": b"1", "gone/x": b"1"}), layer({"app/.wh.a": b"", ".wh.gone": b"", "app/c": b"2"})]
    site.push.image(layers, tag="v-1", repository="tests/tagged")
    site.pod(
        "tagged",
        f"{site.push.host}/tests/tagged:v-1",
        command=["python", "-c", "import os; print(sorted(os.listdir('app')), os.path.exists('gone'))"],
    )
    site.phase("tagged", "Succeeded")
    assert site.log("tagged") == "['b', 'c'] False\n"


def test_deadline(site: Site) -> None:
    site.script("deadline", "import time; time.sleep(60)", spec={"activeDeadlineSeconds": 1})
    assert site.phase("deadline", "Failed").status.reason == "DeadlineExceeded"
