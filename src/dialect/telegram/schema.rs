//! What values begin with. Names and numbers are those of the published schema (layers 133 to 230).

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        $($(#[$doc])* pub const $name: u32 = $value;)*
    };
}

constructors! {
    // The handshake.
    REQ_PQ = 0x6046_9778;
    REQ_PQ_MULTI = 0xbe7e_8ef1;
    RES_PQ = 0x0516_2463;
    P_Q_INNER_DATA = 0x83c9_5aec;
    P_Q_INNER_DATA_DC = 0xa9f5_5f95;
    P_Q_INNER_DATA_TEMP = 0x3c6a_84d4;
    P_Q_INNER_DATA_TEMP_DC = 0x56fd_df88;
    REQ_DH_PARAMS = 0xd712_e4be;
    SERVER_DH_PARAMS_OK = 0xd0e8_075c;
    SERVER_DH_INNER_DATA = 0xb589_0dba;
    SET_CLIENT_DH_PARAMS = 0xf504_5f1f;
    CLIENT_DH_INNER_DATA = 0x6643_b654;
    DH_GEN_OK = 0x3bcb_f734;
    DH_GEN_RETRY = 0x46dc_1fb9;
    DH_GEN_FAIL = 0xa69d_ae02;
    // Messages.
    MSG_CONTAINER = 0x73f1_f8dc;
    MSG_COPY = 0xe060_46b2;
    GZIP_PACKED = 0x3072_cfa1;
    MSGS_ACK = 0x62d6_b459;
    MSGS_STATE_REQ = 0xda69_fb52;
    MSGS_STATE_INFO = 0x04de_b57d;
    MSGS_ALL_INFO = 0x8cc0_d131;
    MSG_DETAILED_INFO = 0x276d_3ec6;
    MSG_NEW_DETAILED_INFO = 0x809d_b6df;
    MSG_RESEND_REQ = 0x7d86_1a08;
    BAD_MSG_NOTIFICATION = 0xa7ef_f811;
    BAD_SERVER_SALT = 0xedab_447b;
    NEW_SESSION_CREATED = 0x9ec2_0908;
    RPC_RESULT = 0xf35c_6d01;
    RPC_ERROR = 0x2144_ca19;
    RPC_DROP_ANSWER = 0x58e4_a740;
    RPC_ANSWER_DROPPED = 0xa43a_d8b7;
    RPC_ANSWER_UNKNOWN = 0x5e2a_d36e;
    GET_FUTURE_SALTS = 0xb921_bd04;
    FUTURE_SALTS = 0xae50_0895;
    PING = 0x7abe_77ec;
    PING_DELAY_DISCONNECT = 0xf342_7b8c;
    PONG = 0x3477_73c5;
    DESTROY_SESSION = 0xe751_2126;
    DESTROY_SESSION_OK = 0xe220_45fc;
    DESTROY_SESSION_NONE = 0x62d3_50c9;
    DESTROY_AUTH_KEY = 0xd143_5160;
    DESTROY_AUTH_KEY_OK = 0xf660_e1d4;
    DESTROY_AUTH_KEY_NONE = 0x0a9f_2259;
    HTTP_WAIT = 0x9299_359f;
    // What methods are wrapped in.
    INVOKE_WITH_LAYER = 0xda9b_0d0d;
    INIT_CONNECTION = 0xc1cd_5ea9;
    INPUT_CLIENT_PROXY = 0x7558_8b3f;
    INVOKE_WITHOUT_UPDATES = 0xbf94_59b7;
    INVOKE_AFTER_MSG = 0xcb9f_372d;
    JSON_NULL = 0x3f6d_7b68;
    JSON_BOOL = 0xc734_5e6a;
    JSON_NUMBER = 0x2be0_dfa4;
    JSON_STRING = 0xb71e_767a;
    JSON_ARRAY = 0xf744_4763;
    JSON_OBJECT = 0x99c1_d49d;
    JSON_OBJECT_VALUE = 0xc0de_1bd9;
    // Methods.
    HELP_GET_CONFIG = 0xc4f9_186b;
    USERS_GET_USERS = 0x0d91_a548;
    UPDATES_GET_STATE = 0xedd4_882a;
    UPDATES_GET_DIFFERENCE = 0x19c2_f763;
    UPDATES_GET_DIFFERENCE_OLDER = 0x2593_9651;
    AUTH_BIND_TEMP_AUTH_KEY = 0xcdd4_2a05;
    AUTH_SEND_CODE = 0xa677_244f;
    AUTH_RESEND_CODE = 0xcae4_7523;
    AUTH_RESEND_CODE_OLDER = 0x3ef1_a9bf;
    AUTH_SIGN_IN = 0x8d52_a951;
    AUTH_SIGN_IN_OLDER = 0xbcd5_1581;
    AUTH_CANCEL_CODE = 0x1f04_0578;
    AUTH_LOG_OUT = 0x3e72_ba19;
    AUTH_LOG_OUT_OLDER = 0x5717_da40;
    // Values.
    BOOL_TRUE = 0x9972_75b5;
    BOOL_FALSE = 0xbc79_9737;
    CODE_SETTINGS = 0xad25_3d78;
    CODE_SETTINGS_LAYER_133 = 0xdebe_be83;
    AUTH_SENT_CODE = 0x5e00_2502;
    SENT_CODE_TYPE_SMS = 0xc000_bba2;
    SENT_CODE_TYPE_CALL = 0x5353_e5a7;
    CODE_TYPE_SMS = 0x72a3_158c;
    CODE_TYPE_CALL = 0x741c_d3e3;
    AUTH_AUTHORIZATION = 0x2ea2_c0d4;
    AUTH_AUTHORIZATION_SIGN_UP_REQUIRED = 0x4474_7e9a;
    AUTH_LOGGED_OUT = 0xc3a2_835f;
    CONFIG = 0xcc1a_241e;
    DC_OPTION = 0x18b7_a10d;
    INPUT_USER_SELF = 0xf7c1_b13f;
    UPDATES_STATE = 0xa56c_2a3e;
    UPDATES_DIFFERENCE_EMPTY = 0x5d75_a138;
    USER_LAYER_186 = 0x8331_4fca;
    USER_LAYER_198 = 0x4b46_c37e;
    USER_LAYER_205 = 0x020b_1422;
    USER_LAYER_218 = 0x3177_4388;
    USER_LAYER_229 = 0xb1b8_cc83;
}
