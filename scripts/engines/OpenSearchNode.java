import java.nio.file.Path;
import java.util.List;
import org.opensearch.Version;
import org.opensearch.common.logging.LogConfigurator;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.index.mapper.MapperExtrasModulePlugin;
import org.opensearch.node.Node;
import org.opensearch.plugins.PluginInfo;
import org.opensearch.transport.Netty4ModulePlugin;

/**
 * Starts one OpenSearch node with HTTP and without security, from the jars of Maven Central.
 *
 * The arguments are the home folder and the port. The node runs until it is killed.
 */
public class OpenSearchNode extends Node {
    OpenSearchNode(Environment environment) {
        super(environment, List.of(module(Netty4ModulePlugin.class), module(MapperExtrasModulePlugin.class)), true);
    }

    private static PluginInfo module(Class<?> type) {
        String java = Integer.toString(Runtime.version().feature());
        return new PluginInfo(type.getName(), "", "1", Version.CURRENT, java, type.getName(), List.of(), false);
    }

    public static void main(String[] args) throws Exception {
        Settings settings = Settings.builder()
            .put("path.home", args[0])
            .put("cluster.name", "light-splade-proof")
            .put("node.name", "proof")
            .put("discovery.type", "single-node")
            .put("http.port", args[1])
            .put("transport.port", "0")
            .put("network.host", "127.0.0.1")
            .put("cluster.routing.allocation.disk.threshold_enabled", false)
            .build();
        LogConfigurator.configureWithoutConfig(settings);
        Node node = new OpenSearchNode(new Environment(settings, Path.of(args[0], "config")));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                node.close();
            } catch (Exception e) {
                e.printStackTrace();
            }
        }));
        node.start();
        Thread.currentThread().join();
    }
}
