import json, os
from till import Till, order
import sys
sys.path.insert(0,"tests/payments")
from test_callback import paid_quietly
import importlib.util
def test_x(parts, database, monkeypatch):
    spec=importlib.util.spec_from_file_location("pc","tests/payments/conftest.py"); pc=importlib.util.module_from_spec(spec); spec.loader.exec_module(pc)
    with pc.at_work(parts, monkeypatch) as till:
        out=open("/tmp/lab/callbacks.json","w")
        for g in ("gopay","ovo","linkaja"):
            made=paid_quietly(till,g)
            m=till.signed(made)
            a=till.deliver(m)
            print(json.dumps({"g":g,"m":m,"a":[a.status_code,dict(a.headers),a.text]},indent=1),file=out)
            b=till.deliver(m, headers={}); print(b.status_code,dict(b.headers),b.text,file=out)
            b=till.deliver(m, body="{"); print(b.status_code,dict(b.headers),b.text,file=out)
            b=till.deliver(m, body="x"*70000); print(b.status_code,dict(b.headers),b.text,file=out)
        print(json.dumps(till.sandbox.get("/_sandbox/notifications").json()[-3:]),file=out)
