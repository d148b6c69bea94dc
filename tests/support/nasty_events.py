"""Events that are legal and trip up tools."""

from __future__ import annotations


def nasty_lines(second: int) -> list[bytes]:
    """Return events that are legal and trip up tools."""
    time_ms = f"{second}000".encode()
    return [
        line.replace(b"TIME", time_ms)
        for line in (
            b'{"event":"$identify","properties":{"time":TIME,"distinct_id":"0f8f-anon",'
            b'"$distinct_id_before_identity":"user-7","$identified_id":"user-7",'
            b'"$anon_id":"0f8f-anon","$insert_id":"v1","$import":true,'
            b'"mp_processing_time_ms":1690003600123}}',
            '{"event":"Ünïcode ✓ \\"quoted\\"","properties":{"time":TIME,"distinct_id":"",'
            '"$insert_id":"a-1","plan name":null,"a.b[0]":{"k":{"k2":{"k3":1}}},'
            '"tags":["x",null,3],"big":9007199254740993,"$browser":"Chrome",'
            '"browser":"chrome"}}'.encode(),
            b'{"event":"$hotshard_events","properties":{"time":TIME,"distinct_id":"",'
            b'"mp_original_event_name":"Ping","mp_original_distinct_id":"bot",'
            b'"$insert_id":"a-2"}}',
            b'{"event":"Ping","properties":{"time":TIME,"distinct_id":"$device:9b1d",'
            b'"$device_id":"9b1d","$insert_id":"a-3","text":"line\\u2028sep"}}',
            b'{"event":"Ping","properties":{"time":TIME,"distinct_id":"user-9",'
            b'"$user_id":"user-9","$device_id":"9b1e","$distinct_id_before_identity":'
            b'"$device:9b1e","$insert_id":"a-4","text":"line\xe2\x80\xa8sep",'
            b'"mp_processing_time_ms":1690090000000}}',
            b'{"event":"Ping","properties":{"time":TIME,"distinct_id":"u","$insert_id":"b:1",'
            b'"f":0.1234567890123456789,"e":1e21,"z":-0,"deep":{"a":[{"b":18446744073709551616}]}'
            b',"Plan":1,"plan":"2","$plan":true}}',
            b'{"event":"Ping","properties":{"time":TIME,"distinct_id":"u","no id":1,"event":"x",'
            b'"properties":{"time":1}}}',
            b'{"event":"Ping","properties":{"time":TIME,"distinct_id":"u","no id":1}}',
        )
    ]
