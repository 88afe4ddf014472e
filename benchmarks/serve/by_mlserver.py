"""MLServer with a runtime of its own for ONNX models, in its process."""

import asyncio
import logging
import os
import sys

import numpy as np
import onnxruntime as ort
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Orchard(MLModel):
    """An ONNX Runtime session."""

    async def load(self) -> bool:
        """Open the session."""
        self.session = ort.InferenceSession(os.environ["MODEL"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Return the predictions."""
        rows = NumpyCodec.decode_input(payload.inputs[0]).astype(np.float32)
        found = self.session.run(["y"], {"x": rows})[0]
        return InferenceResponse(
            model_name=self.name, outputs=[NumpyCodec.encode_output("y", found)]
        )


async def main() -> None:
    """Serve on the port that is the first argument."""
    port = int(sys.argv[1])
    settings = Settings(
        http_port=port, grpc_port=port + 1, metrics_port=port + 2, parallel_workers=0, debug=False
    )
    model = ModelSettings(name="orchard", implementation=Orchard)
    logging.disable(logging.CRITICAL)
    await MLServer(settings).start([model])


if __name__ == "__main__":
    asyncio.run(main())
