#!/usr/bin/env python3
"""Asks ounced with Triton's HTTP client: tritonclient_unix.py SOCKET MODEL INPUT.npy

Needs: pip install 'tritonclient[http]' numpy
"""
import sys

import gevent.socket as socket
import numpy
import tritonclient.http as triton


def connect(path):
    """A client whose connections go to the Unix socket at `path`."""
    client = triton.InferenceServerClient("localhost")

    def create_socket():
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(path)
        return connection

    client._client_stub._connection_pool._create_socket = create_socket
    return client


def main(path, model, file):
    client = connect(path)
    info = client.get_model_metadata(model)["inputs"][0]
    array = numpy.load(file)
    tensor = triton.InferInput(info["name"], list(array.shape), info["datatype"])
    tensor.set_data_from_numpy(array)
    reply = client.infer(model, [tensor])
    for output in reply.get_response()["outputs"]:
        values = reply.as_numpy(output["name"])
        print(output["name"], values.shape, values.dtype)
        print(values)


if __name__ == "__main__":
    main(*sys.argv[1:4])
